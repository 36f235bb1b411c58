import { expect, test } from "vitest";
import { makeStatusReply, Process } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { Server } from "../../services/svrkit/server.ts";
import { PORT } from "../manifests/pod.ts";
import { SvrkitStoreLink } from "./store-link.ts";

/** Pods have one port, so it is the address that is nobody else's. */
const HOST = "127.71.1.1";

test("store link: a word is of the pod that is there, never of a process that was before it", async () => {
  let startedAtMs = performance.now() - 60_000;
  const server = new Server({ process: "kvsvr-1", campus: "a" }, silentLogger());
  server.add(Process.status, () => {
    return makeStatusReply({ uptimeMs: Math.round(performance.now() - startedAtMs) });
  });
  await server.listen({ host: HOST, port: PORT.door });
  let changes = 0;
  const link = new SvrkitStoreLink(() => {
    changes += 1;
  });
  const follow = (pod: string) => {
    const doors = new Map([["kvsvr-1/a", { host: HOST, service: "kvsvr", pod }]]);
    link.follow("main", { doors, security: "plain" });
  };
  const word = () => link.facts("main").words.get("kvsvr-1/a");
  try {
    follow("first");
    await expect.poll(word).toEqual({ unready: "", pod: "first" });
    follow("");
    follow("second");
    expect(word()).toBeUndefined();
    // The first one's process still answers over its connection.
    await expect.poll(word).toEqual({ unready: undefined, pod: "second" });
    const before = changes;
    startedAtMs = performance.now();
    await expect.poll(word).toEqual({ unready: "", pod: "second" });
    await expect.poll(() => changes).toBeGreaterThan(before);
  } finally {
    link.stop();
    await server.stop();
  }
});
