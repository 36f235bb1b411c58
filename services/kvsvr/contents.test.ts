/** What a replica holds of a key, summed up part by part. */
import { expect, test } from "vitest";
import type { FetchReply, StampedRow } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { contentsOf } from "./contents.ts";

const row = (name: string, version: number): StampedRow => ({
  row: Buffer.from(name),
  value: Buffer.from(`${name} of ${version}`),
  version,
  deleted: false,
});

let given = 0;
async function* parts(...all: { version: number; rows: StampedRow[] }[]) {
  for (const { version, rows } of all) {
    given += 1;
    yield part(version, rows);
  }
}

function part(version: number, rows: StampedRow[]): FetchReply {
  const value = { rows, throughVersion: version, lastNumber: 7, trims: [], operations: undefined };
  return {
    ...{ version, digest: 5, unavailable: false, barred: "", owner: undefined },
    body: { case: "table", value },
  } as FetchReply;
}

const [a, b, c] = [row("a", 1), row("b", 2), row("c", 3)];

test("contents: rows are the same in whatever parts and order they come, and others are not", async () => {
  const whole = await contentsOf(parts({ version: 3, rows: [a, b, c] }));
  expect(whole).toMatchObject({ version: 3, digest: 5, isOther: false });
  const inParts = parts({ version: 3, rows: [c] }, { version: 3, rows: [b, a] });
  expect(await contentsOf(inParts)).toEqual(whole);
  const other = { ...c, value: NO_BYTES };
  expect((await contentsOf(parts({ version: 3, rows: [a, b, other] })))?.held).not.toBe(
    whole?.held,
  );
});

test("contents: of a table that changes meanwhile no more parts are asked for", async () => {
  given = 0;
  const changing = [3, 3, 4, 5, 6].map((version) => ({ version, rows: [a] }));
  expect(await contentsOf(parts(...changing))).toBeUndefined();
  expect(given).toBe(3);
});

test("contents: nothing counts of a table whose later part is not there", async () => {
  async function* refused() {
    yield part(3, [a]);
    yield undefined;
  }
  expect(await contentsOf(refused())).toBeUndefined();
});
