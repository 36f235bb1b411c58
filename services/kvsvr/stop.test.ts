/** A replica that is stopped while it takes in its log. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { sealDecision } from "./protocol/decision.ts";
import { MemoryEngine } from "./storage/memory.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";
import { openTestState } from "./testing/test-state.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const KEYS = 1_000;
const READ_MS = 5;

/** Takes no commit, so that the log stays. */
class FullEngine extends MemoryEngine {
  override commit(): Promise<void> {
    return Promise.reject(new Error("no space left"));
  }
}

class SlowEngine extends MemoryEngine {
  override register(registerKey: Buffer): Buffer | undefined {
    for (const endMs = performance.now() + READ_MS; performance.now() < endMs; );
    return super.register(registerKey);
  }
}

async function fillLog(dir: string): Promise<void> {
  const state = await openTestState({ engine: new FullEngine(), dir });
  const owner = { replica: 0, incarnation: 1 };
  const body = { deleted: false, value: Buffer.from("value"), operations: undefined };
  for (let i = 0; i < KEYS; i++) {
    const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`k${i}`) };
    const decision = sealDecision(1, owner, { case: "key", value: body });
    state.take(state.entry(key), { kind: "learn", decision });
  }
  await state.close();
}

test("stop: who waits for all of the log, as who removes tombstones, stops no stop", async () => {
  const forgetting = {
    number: 1,
    stage: "removing",
    span: { keyspace: Keyspace.ACCOUNT, first: 0, last: 0 },
    floor: { version: 1, forgottenMs: 0 },
    keys: [],
  };
  cluster = await startCluster({
    engine: (number) => (number === 0 ? new SlowEngine() : new MemoryEngine()),
    seed: async ([dir]) => {
      await fillLog(dir!);
      writeFileSync(join(dir!, "slots.json"), JSON.stringify({ format: 2, spans: [], forgetting }));
    },
  });
  const { state, slots } = cluster.replica(0).replica!;
  expect(slots.forgetting?.stage).toBe("removing");
  const { unreplayed } = state;
  expect(unreplayed).toBeGreaterThan(KEYS / 2);
  await cluster.stop(0);
  expect(state.unreplayed).toBeGreaterThan(0);
}, 30_000);
