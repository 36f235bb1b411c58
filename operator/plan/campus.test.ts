import { expect, test } from "vitest";
import type { CampusStatus } from "../api/campus.ts";
import { sampleCampus } from "../testing/samples.ts";
import { type CampusFacts, planCampus } from "./campus.ts";
import type { Outcome, TableBlock } from "./observed.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");
const BLOCK = { reason: "a new switch", until: "2026-11-21T15:00:00Z" };
const WISH = JSON.stringify(BLOCK);
const SET: TableBlock = {
  ...{ what: "b", why: BLOCK.reason, who: "tricampus-operator/b" },
  untilMs: Date.parse(BLOCK.until),
};
const BLOCKED: Outcome = { wish: WISH, outcome: "Blocked", message: "blocked" };
const REFUSED: Outcome = { wish: WISH, outcome: "OtherCampusBlocked", message: "c is blocked" };
const ENDED: Outcome = { wish: "", outcome: "Unblocked", message: "ended" };

/** What a campus b does about its block: its spec's, what its status holds, what the table answered since, and has. */
function carrying(
  spec: object,
  held: Outcome | undefined,
  told: Outcome | undefined,
  blocks: TableBlock[],
) {
  const status: CampusStatus = held === undefined ? {} : { carried: { ...held, generation: 1 } };
  const object = { name: "b", uid: "u", generation: 2, spec: sampleCampus("b", spec), status };
  const observed = {
    ...{ nowMs: NOW_MS, pods: [], busyPercent: new Map() },
    table: { blocks, slots: {}, isMoving: false },
    outcomes: new Map(told === undefined ? [] : [["b", told]]),
  };
  const facts = { observed, object, ready: 1, wanted: 1, loads: [], misplaced: [] };
  const plan = planCampus({ ...facts, weakOthers: undefined } as unknown as CampusFacts);
  const acts = plan.actions.map(({ act }) => act).join();
  return acts === "" ? (plan.status.carried?.outcome ?? "") : acts;
}

test.each([
  ["a wish", { block: BLOCK }, undefined, undefined, [], "block"],
  ["answered, not in the status", { block: BLOCK }, undefined, BLOCKED, [SET], "Blocked"],
  ["in the status", { block: BLOCK }, BLOCKED, undefined, [SET], "Blocked"],
  ["in the status, ended elsewhere", { block: BLOCK }, BLOCKED, undefined, [], "Blocked"],
  ["taken away", {}, BLOCKED, undefined, [SET], "unblock"],
  ["taken away before the status says it", {}, undefined, BLOCKED, [SET], "unblock"],
  ["taken away, ended elsewhere", {}, BLOCKED, undefined, [], "Nothing"],
  ["taken away, answered", {}, BLOCKED, ENDED, [], "Unblocked"],
  ["taken away and back at once", { block: BLOCK }, BLOCKED, ENDED, [], "block"],
  ["refused, answered", { block: BLOCK }, ENDED, REFUSED, [], "OtherCampusBlocked"],
  ["refused once, and made again", { block: BLOCK }, ENDED, undefined, [], "block"],
  ["never asked for", {}, undefined, undefined, [], ""],
])("carrying: %s", (_, spec, held, told, blocks, expected) => {
  expect(carrying(spec, held, told, blocks)).toBe(expected);
});
