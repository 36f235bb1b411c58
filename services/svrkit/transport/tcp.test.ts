import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dial, listen } from "./tcp.ts";
import type { Wire } from "./wire.ts";

/** What the kernel waits for on each end of the connections to a port of this machine: /proc/net/tcp. */
function timersOf(port: number): string[] {
  const ofPort = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const established = "01";
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, from, to, state]) => state === established && [from, to].includes(ofPort))
    .map((columns) => columns[5]!.slice(0, 2));
}

test("tcp: both ends of an idle connection are asked for signs of life", async () => {
  const keepAlive = "02";
  const accepted = Promise.withResolvers<Wire>();
  const listener = await listen({ host: "127.0.0.1", port: 0 }, accepted.resolve);
  const { port } = listener.address() as { port: number };
  const near = await dial({ host: "127.0.0.1", port }, 1_000);
  const far = await accepted.promise;
  await expect.poll(() => timersOf(port)).toEqual([keepAlive, keepAlive]);
  for (const wire of [near, far]) wire.close();
  listener.close();
});
