/** A text service in a process of its own, in campus a of the test's campuses, to be killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findFreePort } from "../../platform/free-ports.ts";
import { ALL_SERVICES } from "../../platform/services.ts";
import type { ServiceAddress } from "../../svrkit/client.ts";
import type { Campuses } from "./campuses.ts";

const PROCESS_MAIN = fileURLToPath(new URL("../../platform/main.ts", import.meta.url));
const HOST = "127.0.0.1";

export interface TextProcess {
  readonly address: ServiceAddress;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
}

/** `messageData`: what the process takes for all three replicas of the service message-data. */
export async function startTextProcess(
  campuses: Campuses,
  messageData: ServiceAddress,
): Promise<TextProcess> {
  const folder = mkdtempSync(join(tmpdir(), "tricampus-text-"));
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const real = await campuses.listen();
  const address = { campus: "a", host: HOST, port: await findFreePort(HOST) };
  const config = {
    ...{ name: "a/text", dc: 7, campus: "a", campuses: ["a", "b", "c"], host: HOST },
    logLevel: "warn",
    doors: [{ port: address.port, services: ["text"] }],
    services: [{ name: "text", dataDir: join(folder, "text"), options: {} }],
    addresses: {
      ...Object.fromEntries(ALL_SERVICES.map((service) => [service, real])),
      "message-data": real.map(({ campus }) => ({ ...messageData, campus })),
      text: [address, ...real.slice(1)],
    },
    ticketKeyFiles: { k1: file("ticket-public.pem", campuses.ticketPublicKey) },
    blocksFile: join(folder, "blocks"),
    snapshotSecretFile: file("snapshot-secret", Buffer.alloc(32, 1)),
  };
  const child = spawn(
    process.execPath,
    [PROCESS_MAIN, file("process.json", JSON.stringify(config))],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  await ready(child);
  return {
    address,
    async kill() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await gone;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code) => reject(new Error(`the process ended with ${code}`)));
  });
}
