import { expect, test } from "vitest";
import type { LogEntry } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { type FenceAnswer, mustClaim, planTail } from "./tail.ts";

/** "3x2": slot 3, content x, epoch 2. */
function entries(words: string): LogEntry[] {
  return words
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => {
      const [, slot, text, round] = /^(\d+)([a-z])(\d+)$/.exec(word)!;
      return {
        slot: Number(slot),
        epoch: { round: Number(round), writer: "a.1.1" },
        void: false,
        payload: Buffer.from(text!),
        id: Buffer.from(text!),
      };
    });
}

function answer(words: string, { trimmed = 0, settled = 0 } = {}): FenceAnswer {
  return {
    trimmedThrough: trimmed,
    settledThrough: settled,
    previous: undefined,
    entries: entries(words),
  };
}

const words = (all: readonly LogEntry[]) =>
  all.map((e) => (e.void ? `${e.slot}-` : `${e.slot}${Buffer.from(e.payload)}`)).join(" ");

test.each([
  ["nothing written", answer(""), answer(""), "", ""],
  ["the same on both", answer("1a1 2b1"), answer("1a1 2b1"), "1a 2b", "1a 2b"],
  ["the highest epoch wins", answer("1a1 2b1"), answer("1c2"), "1c 2b", "1c 2b"],
  ["an entry at one log counts", answer("1a1"), answer("1a1 2b1"), "1a 2b", "1a 2b"],
  ["a gap becomes void", answer("1a1"), answer("1a1 3c1"), "1a 2- 3c", "1a 2- 3c"],
  [
    "what is settled is not written again",
    answer("1a1 2b1"),
    answer("1a1 2b1", { settled: 1 }),
    "1a 2b",
    "2b",
  ],
  ["one log's trim counts", answer("1a1 2b1"), answer("2b1", { trimmed: 1 }), "2b", "2b"],
  [
    "a settled slot that one log lacks",
    answer("2b1"),
    answer("1a1 2b1", { settled: 2 }),
    "1a 2b",
    "",
  ],
])("tail: %s", (_, first, second, all, unsettled) => {
  for (const answers of [
    [first, second],
    [second, first],
  ]) {
    const tail = planTail(answers);
    expect(words(tail.entries)).toBe(all);
    expect(words(tail.unsettled)).toBe(unsettled);
  }
});

test("tail: a trim beyond everything written moves the start", () => {
  const tail = planTail([answer("", { trimmed: 7 }), answer("1a1 2b1")]);
  expect(tail).toMatchObject({ consumedThrough: 7, lastSlot: 7, entries: [] });
});

test("tail: a settled slot that neither log has is a broken promise, not a void", () => {
  expect(() => planTail([answer("1a1 3c1", { settled: 3 }), answer("1a1 3c1")])).toThrow("slot 2");
});

test("tail: a quorum's value is found from every two logs (all histories of three epochs)", () => {
  // Epoch e wrote its own content at the logs of a mask; a later epoch takes over what it must.
  const masks = [0, 1, 2, 3, 4, 5, 6, 7];
  const quorums = [
    [0, 1],
    [0, 2],
    [1, 2],
  ];
  for (const first of masks)
    for (const second of masks)
      for (const seen of quorums) {
        const logs: (string | undefined)[] = [undefined, undefined, undefined];
        for (const log of [0, 1, 2]) if (first & (1 << log)) logs[log] = "1a1";
        const found = planTail(seen.map((log) => answer(logs[log] ?? ""))).entries[0];
        const value = found === undefined ? "b" : Buffer.from(found.payload).toString();
        for (const log of [0, 1, 2]) if (second & (1 << log)) logs[log] = `1${value}2`;
        const settled = [first, second].map((mask) => bits(mask) >= 2);
        for (const later of quorums) {
          const read = words(planTail(later.map((log) => answer(logs[log] ?? ""))).entries);
          if (settled[1]) expect(read).toBe(`1${value}`);
          if (settled[0]) expect(read).toBe("1a");
        }
      }
});

function bits(mask: number): number {
  return (mask & 1) + ((mask >> 1) & 1) + ((mask >> 2) & 1);
}

test.each([
  [undefined, false],
  ["b.12.4", false],
  ["b.11.4", true],
  ["b.1.4", true],
  ["b.123.4", true],
  ["a.12.4", true],
])("tail: after %s the process b.12 must claim: %s", (writer, claims) => {
  const previous = writer === undefined ? undefined : { round: 1, writer };
  expect(mustClaim([answer(""), { ...answer(""), previous }], "b.12")).toBe(claims);
});
