import { expect, test } from "vitest";
import type { Block } from "../../../protos/gen/tricampus/control/v1/control_codec.ts";
import {
  BLOCK_MS_MAX,
  CLOCKS_APART_MS,
  inForce,
  nameOf,
  planBlock,
  planUnblock,
  type Target,
} from "./blocks.ts";

const NOW_MS = 1_000_000;
const MINUTE_MS = 60_000;

function target(name: string): Target {
  const [campus = "", service = ""] = name.split("/");
  return { campus, service };
}

/** "b/text", blocked for a minute, or until `untilMs`. */
function block(name: string, untilMs = NOW_MS + MINUTE_MS): Block {
  const facts = { why: "a drill", who: "ann", setAtMs: NOW_MS - 1_000, forced: false };
  return { ...target(name), untilMs, ...facts };
}

const blocks = (names: string) =>
  names
    .split(" ")
    .filter(Boolean)
    .map((name) => block(name));

test.each([
  ["", "b", "set"],
  ["", "b/text", "set"],
  ["b", "b", "set"],
  ["b", "b/text", "set"],
  ["b/text", "b", "set"],
  ["b/text", "b/sync", "set"],
  ["b/text", "a/sync", "set"],
  ["b", "a", "refused"],
  ["b", "a/text", "refused"],
  ["b/text", "a", "refused"],
  ["b/text", "a/text", "refused"],
  ["b/text b/sync a/group", "c/group", "refused"],
  ["b/text b/sync a/group", "c/account", "set"],
])("blocks: with %o blocked, %s is %s", (before, wanted, verdict) => {
  const planned = planBlock(blocks(before), block(wanted), NOW_MS);
  expect(planned.verdict).toBe(verdict);
  if (planned.verdict === "refused") expect(planned.reason).toContain("blocked, by ann");
  else {
    const names = [...new Set([...before.split(" ").filter(Boolean), wanted])];
    expect(planned.blocks.map(nameOf).sort()).toEqual(names.sort());
  }
});

test("blocks: the same target again gets the new end", () => {
  const later = block("b", NOW_MS + 2 * MINUTE_MS);
  const planned = planBlock(blocks("b"), later, NOW_MS);
  expect(planned).toEqual({ verdict: "set", blocks: [later], changed: later });
});

test.each([
  [NOW_MS, "refused"],
  [NOW_MS + 1, "set"],
  [NOW_MS + BLOCK_MS_MAX, "set"],
  [NOW_MS + BLOCK_MS_MAX + 1, "refused"],
])("blocks: an end at %d is %s", (untilMs, verdict) => {
  expect(planBlock([], block("b", untilMs), NOW_MS).verdict).toBe(verdict);
});

test("blocks: one that is over leaves room for the next when all clocks must agree on that", () => {
  const over = (agoMs: number) => [block("b", NOW_MS - agoMs)];
  expect(planBlock(over(CLOCKS_APART_MS - 1), block("a"), NOW_MS).verdict).toBe("refused");
  const planned = planBlock(over(CLOCKS_APART_MS), block("a"), NOW_MS);
  expect(planned.verdict === "set" && planned.blocks.map(nameOf)).toEqual(["a"]);
});

test.each([
  ["b", "b", ""],
  ["b b/text", "b", "b/text"],
  ["b b/text", "b/text", "b"],
])("unblock: of %s, %s ends and %o stays", (before, ended, left) => {
  const planned = planUnblock(blocks(before), target(ended), NOW_MS);
  expect(planned).toMatchObject({ verdict: "set", changed: block(ended), blocks: blocks(left) });
});

test.each([
  ["", "b", "b is not blocked: nothing is"],
  ["b/text", "b", "b is not blocked: only b/text"],
  ["b", "b/text", "b/text is not blocked: only b"],
])("unblock: with %o blocked, %s is refused", (before, wanted, reason) => {
  expect(planUnblock(blocks(before), target(wanted), NOW_MS)).toEqual({
    verdict: "refused",
    reason,
  });
});

test("unblock: with a holder, another's block of the same place stays", () => {
  const standing = blocks("b");
  const [{ who, why }] = standing as [Block];
  const ended = planUnblock(standing, { ...target("b"), holder: { who, why } }, NOW_MS);
  expect(ended.verdict).toBe("set");
  for (const holder of [
    { who: "bob", why },
    { who, why: "something else" },
  ])
    expect(planUnblock(standing, { ...target("b"), holder }, NOW_MS)).toEqual({
      ...{ verdict: "refused" },
      reason: `b is not blocked by ${holder.who} (${holder.why}) any more`,
    });
});

test("unblock: what is over by itself is not there to be ended", () => {
  expect(planUnblock([block("b", NOW_MS)], target("b"), NOW_MS).verdict).toBe("refused");
});

test("blocks: in force until their end, not at it", () => {
  const both = [block("b", NOW_MS), block("a/text", NOW_MS + 1)];
  expect(inForce(both, NOW_MS).map(nameOf)).toEqual(["a/text"]);
});
