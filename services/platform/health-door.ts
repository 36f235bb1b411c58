/**
 * The HTTP door for whoever starts and watches a process (Kubernetes' probes, a person with curl):
 *
 *   GET /livez    200: its event loop runs
 *   GET /readyz   200: it serves and is caught up; 503 with the reason: it starts, or must not be
 *                 counted on yet
 *
 * It is open from the process's first moment, and knows nothing that needs protection.
 */
import { createServer, type Server } from "node:http";
import { readUnreadiness } from "../svrkit/monitors/readiness.ts";
import type { ProcessConfig } from "./process-config.ts";

const STARTS = "it starts";

export class HealthDoor {
  readonly #server: Server;
  #isStarted = false;

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => {
      const [code, text] = this.#answer(request.url ?? "");
      response.writeHead(code, { "content-type": "text/plain" }).end(`${text}\n`);
    });
  }

  /** undefined when none is configured. Rejects when the port cannot be had. */
  static async open({
    host,
    healthPort,
  }: Pick<ProcessConfig, "host" | "healthPort">): Promise<HealthDoor | undefined> {
    if (healthPort === undefined) return undefined;
    const server = createServer({ requestTimeout: 5_000, keepAliveTimeout: 5_000 });
    server.maxConnections = 100;
    const door = new HealthDoor(server);
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

  #answer(url: string): [number, string] {
    if (url === "/livez") return [200, "alive"];
    if (url !== "/readyz") return [404, "there are /livez and /readyz"];
    const reason = this.#isStarted ? readUnreadiness() : STARTS;
    return reason === "" ? [200, "ready"] : [503, reason];
  }
}
