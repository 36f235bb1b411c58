import { expect, test } from "vitest";
import { KEYSPACES } from "../api/kv-group.ts";
import { sampleDataCenter, sampleGroup } from "../testing/samples.ts";
import type { KvGroup } from "./kv-group.ts";
import type { Observed } from "./observed.ts";
import { planSlots } from "./slots.ts";

/** Three groups: all of 1's inbox is to be shared with 3, media are 2's, whose replica in b is not ready. */
function planWith(second: object) {
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
