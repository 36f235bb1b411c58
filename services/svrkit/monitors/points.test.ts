import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { monitor, monitorId } from "./monitor.ts";
import { decodePoints, encodeHeader, encodeRow } from "./points.ts";
import { PointsFile } from "./points-file.ts";
import { MONITORS } from "./table.ts";

let folder: string;
let nowMs: number;
const fsyncs = monitorId("kvsvr.fsyncs");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tricampus-points-"));
  nowMs = 1_700_000_000_000;
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = () => new PointsFile({ folder, process: "a/kvsvr", now: () => nowMs });
const pointsIn = (path: string) => decodePoints(readFileSync(path))!;

test("points: each second's values are read from the file, while it is written", () => {
  const file = open();
  for (let second = 0; second < 3; second++) {
    monitor.set(fsyncs, 10 * second);
    file.write();
    file.write(); // the same second
    nowMs += 1_000;
  }
  const { header, rows } = pointsIn(file.path);
  expect(header).toMatchObject({
    pid: process.pid,
    process: "a/kvsvr",
    startedAtMs: nowMs - 3_000,
  });
  expect(header.numbers).toHaveLength(MONITORS.length);
  const column = header.numbers.indexOf(fsyncs);
  expect(rows.map(({ second, values }) => [second, values[column]])).toEqual([
    [1_700_000_000, 0],
    [1_700_000_001, 10],
    [1_700_000_002, 20],
  ]);
  file.close();
});

test("points: the last five minutes stay, in a file that does not grow", () => {
  const file = open();
  file.write();
  const bytes = readFileSync(file.path).length;
  for (let second = 0; second < 1_000; second++, nowMs += 1_000) file.write();
  const { rows } = pointsIn(file.path);
  expect(rows).toHaveLength(300);
  expect(rows[0]!.second).toBe(1_700_000_700);
  expect(rows.at(-1)!.second).toBe(1_700_000_999);
  expect(readFileSync(file.path)).toHaveLength(bytes);
  file.close();
});

test("points: a row that is half written counts as not there, and other files as none", () => {
  const header = encodeHeader({ pid: 1, startedAtMs: 2, process: "b/text", numbers: [5, 6] });
  const values = Float64Array.from([0, 0, 0, 0, 0, 50, 60]);
  const rows = [encodeRow(9, [5, 6], values), encodeRow(10, [5, 6], values)];
  rows[1]!.writeDoubleLE(61, 16);
  expect(decodePoints(Buffer.concat([header, ...rows]))).toEqual({
    header: { pid: 1, startedAtMs: 2, process: "b/text", numbers: [5, 6] },
    rows: [{ second: 9, values: Float64Array.from([50, 60]) }],
  });
  expect(decodePoints(Buffer.alloc(10_000))).toBeUndefined();
  expect(decodePoints(header.subarray(0, 100))).toBeUndefined();
});

test("points: processes that start often leave few files, and a folder that cannot be written none", () => {
  for (let start = 0; start < 10; start++, nowMs += 1_000) open().close();
  expect(readdirSync(folder)).toHaveLength(4);
  const nowhere = new PointsFile({ folder: "/dev/null/x", process: "a/text", now: () => nowMs });
  nowhere.write();
  nowhere.close();
});
