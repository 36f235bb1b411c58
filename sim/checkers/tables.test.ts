import { expect, test } from "vitest";
import type { Line, RowOperation } from "../history.ts";
import { checkTables } from "./tables.ts";
import { change, changes, changeUnknown, rows } from "./testing/lines.ts";

const upsert = (row: string, value: string): RowOperation => ({ do: "upsert", row, value });
const insert = (row: string, value: string): RowOperation => ({ do: "insert", row, value });
const append = (id: string): RowOperation => ({ do: "append", id, value: id });
const erase = (row: string): RowOperation => ({ do: "delete", row });
const trim = (prefix: string, through: number): RowOperation => ({ do: "trim", prefix, through });
const forgotten = (through: number) => ({ trims: [["", through]] as const });
const results = (...list: { existed?: boolean; value?: string; number?: number }[]) => ({
  results: list.map((r) => ({ existed: false, value: "", number: 0, ...r })),
});
const step = (from: number, to: number) => ({ mark: { name: "m", from, to } });

const recent = { level: "recent" } as const;

const accepted: Record<string, Line[]> = {
  "a recent read of what was there half a second before": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("u", "b")]),
    rows([503, 504], 1, [["u", "a", 1]], 0, recent),
  ],
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
  "rows forgotten, and one written anew": [
    change([0, 1], 1, [upsert("u", "a"), upsert("v", "b")]),
    change([2, 3], 2, [upsert("v", "c")]),
    change([4, 5], 3, [trim("", 1)], results({ number: 1 })),
    rows([6, 7], 3, [["v", "c", 2]], 0, forgotten(1)),
    changes([6, 7], 0, 3, [["v", "c", 2]], forgotten(1)),
    change([8, 9], 4, [upsert("u", "d")]),
    rows(
      [10, 11],
      4,
      [
        ["u", "d", 4],
        ["v", "c", 2],
      ],
      0,
      forgotten(1),
    ),
  ],
  "a deletion forgotten": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [erase("u")], results({ existed: true })),
    change([4, 5], 3, [trim("", 2)], results({ number: 2 })),
    changes([6, 7], 1, 3, [], forgotten(2)),
  ],
  "an unknown trim, seen cut to the version before its own": [
    change([0, 1], 1, [upsert("u", "a")]),
    changeUnknown([2, 3], [trim("", 5)]),
    rows([4, 5], 2, [], 0, forgotten(1)),
  ],
  "the first numbers forgotten": [
    change([0, 1], 1, [append("x")], results({ number: 1 })),
    change([2, 3], 2, [append("y")], results({ number: 2 })),
    change([4, 5], 3, [trim("n/", 1)], results({ number: 1 })),
    rows([6, 7], 3, [["n/2", "y", 2]], 2, { trims: [["n/", 1]] }),
  ],
  "a mark that rises": [
    change([0, 1], 1, [upsert("u", "a")], step(0, 2)),
    change([2, 3], 2, [upsert("u", "b")], step(2, 3)),
  ],
};

const rejected: Record<string, Line[]> = {
  "a recent read of what was over half a second before": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("u", "b")]),
    rows([504, 505], 1, [["u", "a", 1]], 0, recent),
  ],
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
  "a forgotten row that is back": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [trim("", 1)], results({ number: 1 })),
    rows([4, 5], 2, [["u", "a", 1]], 0, forgotten(1)),
  ],
  "a trim that is forgotten": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [trim("", 1)], results({ number: 1 })),
    rows([4, 5], 2, [["u", "a", 1]]),
  ],
  "a trim of unknown outcome, seen and forgotten": [
    change([0, 1], 1, [upsert("u", "a")]),
    changeUnknown([2, 3], [trim("", 1)]),
    rows([4, 5], 2, [], 0, forgotten(1)),
    rows([6, 7], 2, [["u", "a", 1]]),
  ],
  "a row above what is forgotten that is gone": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("v", "b")]),
    change([4, 5], 3, [trim("", 1)], results({ number: 1 })),
    rows([6, 7], 3, [], 0, forgotten(1)),
  ],
  "more forgotten than was asked for": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [upsert("v", "b")]),
    change([4, 5], 3, [trim("", 1)], results({ number: 1 })),
    rows([6, 7], 3, [], 0, forgotten(2)),
  ],
  "a silent gap in changes": [
    change([0, 1], 1, [upsert("u", "a")]),
    change([2, 3], 2, [trim("", 1)], results({ number: 1 })),
    changes([4, 5], 0, 2, []),
  ],
  "a number missing above the forgotten ones": [
    change([0, 1], 1, [append("x")], results({ number: 1 })),
    change([2, 3], 2, [append("y")], results({ number: 2 })),
    change([2, 3], 3, [append("z")], results({ number: 4 })),
    change([4, 5], 4, [trim("n/", 1)], results({ number: 1 })),
    rows(
      [6, 7],
      4,
      [
        ["n/2", "y", 2],
        ["n/4", "z", 3],
      ],
      4,
      { trims: [["n/", 1]] },
    ),
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
