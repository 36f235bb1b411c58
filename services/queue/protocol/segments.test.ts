import { expect, test } from "vitest";
import type { LogEntry } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import {
  addSegment,
  dropFirst,
  isStreamName,
  logStreamOf,
  parseLogStream,
  planRest,
  replaceLast,
  seal,
  unmoved,
} from "./segments.ts";
import type { Tail } from "./tail.ts";

const owner = { round: 2, writer: "b.1.1" };

test("segments: a log's stream is named after stream and segment", () => {
  for (const id of ["", "b.12.3"]) {
    expect(parseLogStream(logStreamOf("g1", id))).toEqual({ stream: "g1", id });
  }
  expect(logStreamOf("g1", "")).toBe("g1");
  expect(["", "a#b", "x".repeat(201)].filter(isStreamName)).toEqual([]);
});

test("segments: a writer that knows the end leaves the old segment behind", () => {
  const moved = replaceLast(unmoved(1), { owner, group: 2, id: "n", consumed: 10 });
  expect(moved.segments).toEqual([{ id: "n", group: 2, firstSlot: 11, length: undefined }]);
  const back = replaceLast(moved, { owner, group: 1, id: "m", consumed: 4 });
  expect(back.segments).toEqual([{ id: "m", group: 1, firstSlot: 15, length: undefined }]);
});

test("segments: numbers follow when the ends become known, in whatever order", () => {
  const two = addSegment(unmoved(1), { owner, group: 2, id: "n" });
  const three = addSegment(two, { owner, group: 1, id: "m" });
  expect(three.segments.map((s) => s.firstSlot)).toEqual([1, 0, 0]);
  const inner = seal(three, "n", 5);
  expect(inner.segments.map((s) => s.firstSlot)).toEqual([1, 0, 0]);
  const all = seal(inner, "", 100);
  expect(all.segments.map((s) => s.firstSlot)).toEqual([1, 101, 106]);
  expect(dropFirst(all).segments.map((s) => s.id)).toEqual(["n", "m"]);
});

test("segments: an unnumbered segment moves on unnumbered, a sealed one is not sealed otherwise", () => {
  const two = addSegment(unmoved(1), { owner, group: 2, id: "n" });
  const moved = replaceLast(two, { owner, group: 1, id: "m", consumed: 0 });
  expect(moved.segments.map((s) => [s.id, s.firstSlot])).toEqual([
    ["", 1],
    ["m", 0],
  ]);
  expect(() => replaceLast(two, { owner, group: 1, id: "m", consumed: 1 })).toThrow("unnumbered");
  expect(() => seal(seal(two, "", 3), "", 4)).toThrow("sealed once");
});

function tail(consumedThrough: number, lastSlot: number): Tail {
  const entries: LogEntry[] = [];
  for (let slot = consumedThrough + 1; slot <= lastSlot; slot++) {
    const id = Buffer.from(`${slot}`);
    entries.push({ slot, epoch: undefined, void: false, payload: id, id });
  }
  return { consumedThrough, lastSlot, entries, unsettled: [] };
}

const older = (firstSlot: number, length: number, itsTail: Tail) => {
  return { segment: { id: `${firstSlot}`, group: 1, firstSlot, length }, tail: itsTail };
};

test.each([
  ["nothing consumed", [older(1, 3, tail(0, 3))], 0, 0, 3],
  ["some consumed", [older(1, 3, tail(2, 3))], 0, 2, 1],
  ["the last segment was begun", [older(1, 3, tail(0, 3))], 2, 5, 0],
  ["two, the second begun", [older(1, 3, tail(0, 3)), older(4, 4, tail(1, 4))], 0, 4, 3],
  ["two, none begun", [older(1, 3, tail(0, 3)), older(4, 4, tail(0, 4))], 0, 0, 7],
  ["entries behind the seal do not count", [older(1, 2, tail(0, 3))], 0, 0, 2],
])("segments: rest of the older ones (%s)", (_, all, consumed, through, count) => {
  const firstSlot = all.at(-1)!.segment.firstSlot + all.at(-1)!.segment.length;
  const rest = planRest(all, { firstSlot, consumed });
  expect([rest.consumedThrough, rest.entries.length]).toEqual([through, count]);
});
