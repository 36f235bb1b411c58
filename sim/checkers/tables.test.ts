import { expect, test } from "vitest";
import type { Line, RowOperation } from "../history.ts";
import { checkTables } from "./tables.ts";
import { change, changes, changeUnknown, rows } from "./testing/lines.ts";

const upsert = (row: string, value: string): RowOperation => ({ do: "upsert", row, value });
const insert = (row: string, value: string): RowOperation => ({ do: "insert", row, value });
const append = (id: string): RowOperation => ({ do: "append", id, value: id });
const erase = (row: string): RowOperation => ({ do: "delete", row });
const results = (...list: { existed?: boolean; value?: string; number?: number }[]) => ({
  results: list.map((r) => ({ existed: false, value: "", number: 0, ...r })),
});
const step = (from: number, to: number) => ({ mark: { name: "m", from, to } });

const accepted: Record<string, Line[]> = {
  "rows as written": [change([0, 1], 1, [upsert("u", "a")]), rows([2, 3], 1, [["u", "a", 1]])],
  "two changes packed into one version": [
    change([0, 9], 1, [upsert("u", "a")]),
    change([0, 9], 1, [upsert("u", "b")]),
    rows([10, 11], 1, [["u", "a", 1]]),
  ],
  "an unknown change seen": [
    changeUnknown([0, 1], [upsert("u", "a")]),
    rows([2, 3], 1, [["u", "a", 1]]),
    rows([4, 5], 1, [["u", "a", 1]]),
  ],
  "a deletion": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [erase("u")], results({ existed: true })),
    rows([4, 5], 2, []),
    changes([6, 7], 1, 2, [["u", null, 2]]),
  ],
  "inserted once, shown to the next": [
    change([0, 1], 1, [insert("i", "a")]),
    change([2, 3], 1, [insert("i", "b")], results({ existed: true, value: "a" })),
  ],
  "numbers in order": [
    change([0, 1], 1, [append("x")], results({ number: 1 })),
    change([2, 3], 2, [append("y")], results({ number: 2 })),
    rows(
      [4, 5],
      2,
      [
        ["n/1", "x", 1],
        ["n/2", "y", 2],
      ],
      2,
    ),
  ],
  "a mark that rises": [
    change([0, 1], 1, [upsert("u", "a")], step(0, 2)),
    change([2, 3], 2, [upsert("u", "b")], step(2, 3)),
  ],
};

const rejected: Record<string, Line[]> = {
  "a stale page": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("u", "b")]),
    rows([4, 5], 1, [["u", "a", 1]]),
  ],
  "an old row in a new page": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("u", "b")]),
    rows([4, 5], 2, [["u", "a", 1]]),
  ],
  "a missing row": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("v", "b")]),
    rows([4, 5], 2, [["v", "b", 2]]),
  ],
  "a row that nobody wrote": [
    change([0, 1], 1, [upsert("u", "a")]),
    rows([2, 3], 1, [
      ["u", "a", 1],
      ["v", "x", 1],
    ]),
  ],
  "a row under another version": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("v", "b")]),
    rows([4, 5], 2, [
      ["u", "a", 2],
      ["v", "b", 2],
    ]),
  ],
  "half of a change": [
    changeUnknown([0, 1], [upsert("u", "a"), upsert("v", "b")]),
    rows([2, 3], 1, [["u", "a", 1]]),
  ],
  "a deleted row that is back": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [erase("u")], results({ existed: true })),
    rows([4, 5], 2, [["u", "a", 1]]),
  ],
  "a change that changes leave out": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("v", "b")]),
    changes([4, 5], 0, 2, [["v", "b", 2]]),
  ],
  "a row created twice": [
    change([0, 1], 1, [insert("i", "a")]),
    change([2, 3], 2, [insert("i", "b")]),
  ],
  "another value than the creator's": [
    change([0, 1], 1, [insert("i", "a")]),
    change([2, 3], 1, [insert("i", "b")], results({ existed: true, value: "x" })),
  ],
  "a number given twice": [
    change([0, 1], 1, [append("x")], results({ number: 1 })),
    change([2, 3], 2, [append("y")], results({ number: 1 })),
  ],
  "an id with two numbers": [
    change([0, 1], 1, [append("x")], results({ number: 1 })),
    change([2, 3], 2, [append("x")], results({ number: 2 })),
  ],
  "numbers against versions": [
    change([0, 9], 1, [append("x")], results({ number: 2 })),
    change([0, 9], 2, [append("y")], results({ number: 1 })),
  ],
  "a missing number": [
    change([0, 1], 1, [append("x")], results({ number: 2 })),
    rows([2, 3], 1, [["n/2", "x", 1]], 2),
  ],
  "a step taken twice": [
    change([0, 1], 1, [upsert("u", "a")], step(0, 2)),
    change([2, 3], 2, [upsert("u", "b")], step(0, 2)),
  ],
  "alone in company": [
    change([0, 9], 1, [upsert("u", "a")], { alone: true }),
    change([0, 9], 1, [upsert("v", "b")]),
  ],
};

for (const [name, lines] of Object.entries(accepted))
  test(`tables checker accepts: ${name}`, () => expect(checkTables(lines)).toEqual([]));
for (const [name, lines] of Object.entries(rejected))
  test(`tables checker rejects: ${name}`, () => expect(checkTables(lines)).not.toEqual([]));
