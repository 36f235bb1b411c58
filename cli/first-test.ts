/**
 * Does the platform work? One value is written and read back through every campus's own replica:
 * what `up` waits for before it says so.
 */

import { Keyspace, Kv, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Platform } from "../services/platform/platform.ts";
import type { Callee } from "../services/svrkit/client.ts";
import { newOperationId } from "../services/svrkit/operation-id.ts";
import { Inspector } from "./connect.ts";
import { EXIT, Failure } from "./failure.ts";

const KEY = Buffer.from("platform/first-test");
const CALL_TIMEOUT_MS = 2_000;
const PAUSE_MS = 100;

export async function testPlatform(platform: Platform, timeoutMs: number): Promise<void> {
  const giveUp = performance.now() + timeoutMs;
  const inspector = new Inspector(platform);
  try {
    for (const campus of platform.config.campuses) {
      const replica = inspector.callee("kvsvr", campus);
      await retryUntil(giveUp, () => writeAndRead(replica, campus));
    }
  } finally {
    inspector.stop();
  }
}

async function writeAndRead(replica: Callee, campus: string): Promise<void> {
  const key = { keyspace: Keyspace.CONTROL, key: KEY };
  const put = Buffer.from(`${campus} ${Date.now()}`);
  const write = { key, write: { case: "put", value: put }, expectedVersion: undefined } as const;
  const { version } = await replica.call(Kv.write, write, {
    timeoutMs: CALL_TIMEOUT_MS,
    operationId: newOperationId(),
  });
  const read = await replica.call(
    Kv.get,
    { key, level: Level.STRONG },
    { timeoutMs: CALL_TIMEOUT_MS },
  );
  if (read.version < version) throw new Error(`campus ${campus} read back an older value`);
}

async function retryUntil(giveUp: number, run: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (performance.now() >= giveUp) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Failure(EXIT.failed, `all processes run, but a test write fails: ${why}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
