/** Points files, which a process that was killed has left: a damaged row is not there, others are. */
import assert from "node:assert/strict";
import { decodePoints, encodeHeader, encodeRow } from "../monitors/points.ts";
import type { Random } from "../seeded-random.ts";
import { mutated } from "./mutate.ts";

const numbers = [1, 5, 9];

export function fuzzPoints(random: Random): void {
  const header = encodeHeader({ pid: 7, startedAtMs: 1_000, process: "a/text", numbers });
  const values = Float64Array.from({ length: 10 }, () => random.index(1_000));
  const rows = [1, 2, 3].map((second) => encodeRow(second, numbers, values));
  const whole = decodePoints(Buffer.concat([header, ...rows]))!;
  assert.deepEqual(
    whole.rows.map(({ second }) => second),
    [1, 2, 3],
  );
  const file = Buffer.concat([header, mutated(random, Buffer.concat(rows))]);
  for (const row of decodePoints(file)!.rows) {
    const before = whole.rows.find(({ second }) => second === row.second);
    assert.deepEqual(row, before, "a damaged row was believed");
  }
  decodePoints(Buffer.concat([mutated(random, header), ...rows]));
}
