import { expect, test } from "vitest";
import { KEYSPACES } from "../api/kv-group.ts";
import { sampleDataCenter, sampleGroup } from "../testing/samples.ts";
import type { KvGroup } from "./kv-group.ts";
import { ADDRESSES_HEARD_MS, type Observed } from "./observed.ts";
import { planSlots } from "./slots.ts";

const NOW_MS = Date.UTC(2030, 0, 1);

/**
 * Three groups: all of 1's inbox is to be shared with 3, media are 2's, whose replica in b is not ready. The newest pod
 * of 3 came up so long ago.
 */
function planWith(second: object, newestMs = ADDRESSES_HEARD_MS) {
  const groups = [
    sampleGroup(1, { keyspaces: ["inbox"] }),
    sampleGroup(2, { keyspaces: ["media"], ...second }),
    sampleGroup(3, { keyspaces: ["inbox"] }),
  ].map((spec) => ({ spec }) as KvGroup);
  const slots = Object.fromEntries(KEYSPACES.map((keyspace) => [keyspace, [4_096]]));
  const words = [1, 2, 3].flatMap((group) =>
    ["a", "b", "c"].map((campus) => {
      const unready = group === 2 && campus === "b" ? "catching up" : "";
      return [`kvsvr-${group}/${campus}`, { unready }] as const;
    }),
  );
  const observed = {
    table: { slots: { ...slots, media: [0, 4_096] }, isMoving: false, blocks: [] },
    words: new Map(words),
    dataCenter: { spec: sampleDataCenter() },
    pods: [0, 3_600_000].map((olderMs) => {
      return { workload: "kvsvr-3", isReady: true, readySinceMs: NOW_MS - newestMs - olderMs };
    }),
    ...{ nowMs: NOW_MS, addressesHeardMs: ADDRESSES_HEARD_MS },
  } as unknown as Observed;
  return planSlots(observed, groups);
}

test("slots: a paused group's replicas, whole or not, keep no others' slots from moving", () => {
  const { actions } = planWith({ paused: true });
  expect(actions).toMatchObject([{ act: "even-slots", shares: { inbox: [1, 3] } }]);
});

test("slots: nothing moves while a group that is not paused lacks a replica", () => {
  const { actions, progress } = planWith({});
  expect(actions).toEqual([]);
  expect(progress).toBe("moving slots waits for all replicas of group 2");
});

test("slots: a new group gets none before every pod has read where it is", () => {
  const { actions, progress, againMs } = planWith({ paused: true }, ADDRESSES_HEARD_MS - 7);
  expect(actions).toEqual([]);
  expect(progress).toBe("moving slots waits until every pod has read where the new group is");
  expect(againMs).toBe(7);
});
