/**
 * The HTTP door for whoever starts and watches a process (Kubernetes' probes, a person with curl):
 *
 *   GET /livez    200: its event loop runs
 *   GET /readyz   200: it serves and is caught up; 503 with the reason: it starts, or must not be
 *                 counted on yet
 *   GET /metrics  its monitors and calls, as Prometheus reads them
 *
 * It is open from the process's first moment, and knows nothing of users.
 */
import { createServer, type Server, type ServerResponse } from "node:http";
import { readUnreadiness } from "../svrkit/monitors/readiness.ts";
import type { ProcessConfig } from "./process-config.ts";

const STARTS = "it starts";

type HealthConfig = Pick<ProcessConfig, "host" | "healthPort" | "name" | "campus">;

export class HealthDoor {
  readonly #server: Server;
  readonly #config: HealthConfig;
  #isStarted = false;

  private constructor(server: Server, config: HealthConfig) {
    this.#server = server;
    this.#config = config;
    server.on("request", (request, response) => {
      if (request.url === "/metrics") {
        void this.#sendMetrics(response);
        return;
      }
      const [code, text] = this.#answer(request.url ?? "");
      response.writeHead(code, { "content-type": "text/plain" }).end(`${text}\n`);
    });
  }

  /** undefined when none is configured. Rejects when the port cannot be had. */
  static async open(config: HealthConfig): Promise<HealthDoor | undefined> {
    const { host, healthPort } = config;
    if (healthPort === undefined) return undefined;
    const server = createServer({ requestTimeout: 5_000, keepAliveTimeout: 5_000 });
    server.maxConnections = 100;
    const door = new HealthDoor(server, config);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port: healthPort }, resolve);
    });
    server.unref();
    return door;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Every service of the process has started. */
  started(): void {
    this.#isStarted = true;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #sendMetrics(response: ServerResponse): Promise<void> {
    // Loaded by the first who asks.
    const { METRICS_TYPE, metricsText } = await import("./metrics.ts");
    response.writeHead(200, { "content-type": METRICS_TYPE }).end(await metricsText(this.#config));
  }

  #answer(url: string): [number, string] {
    if (url === "/livez") return [200, "alive"];
    if (url !== "/readyz") return [404, "there are /livez, /readyz and /metrics"];
    const reason = this.#isStarted ? readUnreadiness() : STARTS;
    return reason === "" ? [200, "ready"] : [503, reason];
  }
}
