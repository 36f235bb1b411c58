/** Blocks by the command line from outside the cluster, while people talk. */
import { afterEach, beforeAll, expect, test } from "vitest";
import type { PlatformStatus } from "../../cli/commands/status.ts";
import { openReach, routedCallsIn } from "./testing/calls.ts";
import { get, measured, tricampus, tryTricampus, until, wholePlatform } from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

/** What is asked of the platform, with room for a busy machine. */
const LAST_CALL_MS = 2_000;
const ROOM_MS = 6_000;

beforeAll(() => wholePlatform());
afterEach(async () => {
  await tryTricampus("campus", "unblock", "b");
});

const blocks = async () => {
  const status = JSON.parse(await tricampus("status", "--json")) as PlatformStatus;
  return (status.blocks ?? []).map(({ what }) => what);
};

test("a campus is blocked and unblocked: its calls end, no send fails, kubectl shows it", async () => {
  const reach = await openReach();
  try {
    await duringReplay({ limit: 240, over: 30 }, async (replay) => {
      await until("campus b has calls", async () => (await routedCallsIn(reach, "b")) > 0);
      await tricampus("campus", "block", "b", "--for", "5m", "--why", "a new switch");
      const last = await lastCallMs(reach);
      measured(`block to the last service call in campus b: ${last} ms or earlier`);
      await until("the Campus says so", async () => {
        const { status } = await get("campus", "b");
        return (status as { state?: string }).state === "blocked";
      });
      expect(await blocks()).toEqual(["b"]);
      await replay.reached(0.6);
      await tricampus("campus", "unblock", "b");
      const before = await routedCallsIn(reach, "b");
      await until("calls come back", async () => (await routedCallsIn(reach, "b")) > before);
    });
  } finally {
    reach.stop();
  }
});

/** From now on: when the count of calls in campus b was seen to stand still. */
async function lastCallMs(reach: Awaited<ReturnType<typeof openReach>>): Promise<number> {
  const startMs = performance.now();
  let seen = await routedCallsIn(reach, "b");
  let lastMs = 0;
  // Two seconds of silence end it; something that comes later would start it anew.
  while (performance.now() - startMs - lastMs < LAST_CALL_MS) {
    const now = await routedCallsIn(reach, "b");
    if (now !== seen) lastMs = performance.now() - startMs;
    seen = now;
    expect(lastMs, "calls go on").toBeLessThan(LAST_CALL_MS + ROOM_MS);
  }
  return Math.round(lastMs);
}

test("a second campus is refused", async () => {
  await tricampus("campus", "block", "b", "--for", "1m", "--why", "a new switch");
  const refused = await tryTricampus("campus", "block", "c", "--for", "1m", "--why", "me too");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("b is blocked");
});
