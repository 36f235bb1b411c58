import { describe, expect, test } from "vitest";
import { DeviceView, type PushAction } from "./device-view.ts";
import { HINT_HOLD_MS, PUSH_HOLD_MS, PUSHES_HELD_MAX } from "./limits.ts";

const rows = (version: number, follows = version - 1) => ({
  version,
  follows,
  rows: `row ${version}`,
});
const hint = (version: number) => ({ version, follows: 0, rows: undefined });

/** "5 rows", "hint 7" */
function words(actions: PushAction<string>[]): string[] {
  return actions.map((a) => (a.kind === "rows" ? `${a.version} rows` : `hint ${a.version}`));
}

describe("device view", () => {
  test("rows that follow go out at once, one after another", () => {
    const view = new DeviceView<string>(4);
    expect(words(view.offer(rows(5), 0))).toEqual(["5 rows"]);
    expect(words(view.offer(rows(6), 0))).toEqual(["6 rows"]);
    expect(view.isWaiting).toBe(false);
  });

  test("a push that overtook the one before it waits for it", () => {
    const view = new DeviceView<string>(4);
    expect(words(view.offer(rows(7), 0))).toEqual([]);
    expect(words(view.offer(rows(6), 1))).toEqual([]);
    expect(words(view.offer(rows(5), 2))).toEqual(["5 rows", "6 rows", "7 rows"]);
    expect(view.isWaiting).toBe(false);
  });

  test("a gap that does not close in time becomes one hint, until the device syncs", () => {
    const view = new DeviceView<string>(4);
    view.offer(rows(7), 0);
    expect(words(view.due(PUSH_HOLD_MS - 1))).toEqual([]);
    expect(words(view.due(PUSH_HOLD_MS))).toEqual(["hint 7"]);
    expect(words(view.offer(rows(9), 1_000))).toEqual([]);
    expect(words(view.due(2_000))).toEqual([]);
    view.syncStarted();
    expect(words(view.syncEnded(7, 3_000))).toEqual([]);
    expect(words(view.due(3_000 + PUSH_HOLD_MS))).toEqual(["hint 9"]);
  });

  test("a push without rows becomes a hint soon, whatever is held beside it", () => {
    const view = new DeviceView<string>(4);
    view.offer(rows(9), 0);
    view.offer(hint(7), 1);
    expect(words(view.due(HINT_HOLD_MS - 1))).toEqual([]);
    expect(words(view.due(HINT_HOLD_MS))).toEqual(["hint 9"]);
    view.syncStarted();
    view.syncEnded(7, 100);
    expect(words(view.due(100 + HINT_HOLD_MS))).toEqual([]);
    expect(words(view.offer(rows(8), 110))).toEqual(["8 rows", "9 rows"]);
  });

  test("what came during a sync follows its answer", () => {
    const view = new DeviceView<string>(4);
    view.syncStarted();
    expect(words(view.offer(rows(8), 0))).toEqual([]);
    expect(words(view.due(1_000))).toEqual([]);
    expect(words(view.syncEnded(7, 1_000))).toEqual(["8 rows"]);
  });

  test("a sync that failed leaves the hint due", () => {
    const view = new DeviceView<string>(4);
    view.syncStarted();
    view.offer(rows(8), 0);
    view.syncEnded(undefined, 10);
    expect(words(view.due(10 + PUSH_HOLD_MS))).toEqual(["hint 8"]);
  });

  test("what the device has already is not pushed", () => {
    const view = new DeviceView<string>(4);
    expect(view.offer(rows(4), 0)).toEqual([]);
    expect(view.offer(hint(3), 0)).toEqual([]);
    expect(view.isWaiting).toBe(false);
  });

  test("rows from a version that is not known are a hint, also at version 0", () => {
    const view = new DeviceView<string>(0);
    view.offer(rows(1, 0), 0);
    expect(words(view.due(HINT_HOLD_MS))).toEqual(["hint 1"]);
  });

  test("what is held is bounded, the oldest goes first", () => {
    const view = new DeviceView<string>(0);
    for (let version = 2; version <= PUSHES_HELD_MAX + 2; version++) view.offer(rows(version), 0);
    expect(words(view.offer(rows(1), 0))).toEqual([]);
    view.syncStarted();
    const sent = words(view.syncEnded(2, 0));
    expect(sent).toHaveLength(PUSHES_HELD_MAX);
    expect(sent[0]).toBe("3 rows");
  });
});
