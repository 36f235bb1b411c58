import { describe, expect, test } from "vitest";
import { planReplay } from "../replay/plan.ts";
import { countWrong, Ledger, type LedgerCounts, type StoredRow } from "./ledger.ts";

/** ann (two devices) and bob talk in x; bob and cy in y. */
const plan = planReplay("r", [
  {
    title: "x",
    leftOut: 0,
    lines: [
      { number: 1, nick: "ann", text: "one" },
      { number: 2, nick: "bob", text: "two" },
      { number: 4, nick: "ann", text: "three" },
    ],
  },
  {
    title: "y",
    leftOut: 0,
    lines: [
      { number: 1, nick: "bob", text: "uno" },
      { number: 2, nick: "cy", text: "dos" },
    ],
  },
]);

const row = (id: string, sequence: number, text: string): StoredRow => ({
  conversationId: id.startsWith("r-0") ? "gx" : "gy",
  sequence,
  clientMessageId: id,
  text,
});
// Sequence 1 is the group's making: notices take numbers too.
const x = [row("r-0-1", 2, "one"), row("r-0-2", 3, "two"), row("r-0-4", 4, "three")] as const;
const y = [row("r-1-1", 2, "uno"), row("r-1-2", 3, "dos")] as const;

interface Stores {
  phone: StoredRow[];
  laptop: StoredRow[];
  bob: StoredRow[];
  cy: StoredRow[];
}

const good = (): Stores => ({
  phone: [...x],
  laptop: [...x],
  bob: [y[0], x[0], x[1], y[1], x[2]],
  cy: [...y],
});

function judge(stores: Stores, acknowledged?: Set<string>): Ledger {
  const ledger = new Ledger(plan, acknowledged);
  ledger.checkDevice(0, "phone", stores.phone);
  ledger.checkDevice(0, "laptop", stores.laptop);
  ledger.checkDevice(1, "phone", stores.bob);
  ledger.checkDevice(2, "phone", stores.cy);
  ledger.finish();
  return ledger;
}

test("ledger: everything once, unchanged, in order, on every device", () => {
  const ledger = judge(good());
  expect(countWrong(ledger.counts)).toBe(0);
  expect(ledger.counts).toMatchObject({ messages: 5, deliveries: 13, missing: 0, duplicates: 0 });
});

describe("ledger: rejects", () => {
  const cases: [about: string, change: (s: Stores) => void, found: Partial<LedgerCounts>][] = [
    ["a missing row", (s) => s.laptop.splice(1, 1), { missing: 1, deliveries: 12 }],
    ["an empty device", (s) => s.cy.splice(0), { missing: 2, deliveries: 11 }],
    ["a doubled row", (s) => s.bob.push(x[0]), { duplicates: 1, outOfOrder: 0 }],
    ["a row that came twice in a row", (s) => s.cy.splice(1, 0, y[0]), { duplicates: 1 }],
    ["two rows swapped in the store", (s) => s.phone.splice(0, 2, x[1], x[0]), { outOfOrder: 1 }],
    [
      "two lines numbered the other way round on one device",
      (s) => s.phone.splice(0, 2, row("r-0-2", 2, "two"), row("r-0-1", 3, "one")),
      { outOfOrder: 5 },
    ],
    [
      "a number that differs between devices",
      (s) => s.cy.splice(1, 1, row("r-1-2", 9, "dos")),
      { outOfOrder: 1 },
    ],
    ["another text", (s) => s.cy.splice(0, 1, row("r-1-1", 2, "Uno")), { altered: 1 }],
    ["a message of a group of others", (s) => s.cy.push(x[0]), { foreign: 1, deliveries: 13 }],
    ["a message nobody sent", (s) => s.cy.push(row("r-0-3", 9, "three")), { foreign: 1 }],
    ["a message of another run", (s) => s.cy.push(row("q-1-1", 9, "uno")), { foreign: 1 }],
    [
      "a conversation in two places",
      (s) => s.cy.splice(1, 1, { ...y[1], conversationId: "gz" }),
      { outOfOrder: 1 },
    ],
  ];
  test.each(cases)("%s", (_about, change, found) => {
    const stores = good();
    change(stores);
    const ledger = judge(stores);
    expect(countWrong(ledger.counts)).toBeGreaterThan(0);
    expect(ledger.counts).toMatchObject(found);
    expect(ledger.examples.length).toBeGreaterThan(0);
  });
});

test("ledger: a device nobody speaks of misses everything", () => {
  const ledger = new Ledger(plan);
  ledger.checkDevice(0, "phone", x);
  ledger.finish();
  expect(ledger.counts).toMatchObject({ deliveries: 3, missing: 10 });
});

test("ledger: what was never acknowledged may come after the next line, the same everywhere", () => {
  const acknowledged = new Set(["r-0-1", "r-0-4", "r-1-1", "r-1-2"]);
  const late = [x[0], row("r-0-4", 3, "three"), row("r-0-2", 4, "two")] as const;
  const stores = { ...good(), phone: [...late], laptop: [...late], bob: [...y, ...late] };
  expect(countWrong(judge(stores, acknowledged).counts)).toBe(0);
  expect(judge(stores).counts.outOfOrder).toBe(3);
  stores.phone = [late[0], row("r-0-2", 3, "two"), row("r-0-4", 4, "three")];
  expect(countWrong(judge(stores, acknowledged).counts)).toBeGreaterThan(0);
});

test("ledger: what was never acknowledged may be missing, and still not doubled", () => {
  const acknowledged = new Set(["r-0-1", "r-0-4", "r-1-1", "r-1-2"]);
  const without = good();
  without.phone.splice(1, 1);
  expect(countWrong(judge(without, acknowledged).counts)).toBe(0);
  expect(judge(without, acknowledged).counts.messages).toBe(4);
  without.bob.push(x[1]);
  expect(judge(without, acknowledged).counts).toMatchObject({ duplicates: 1, missing: 0 });
});

/** ann and bob talk 1:1, several messages at once. */
const timed = (times: readonly (readonly [number, number])[]) => ({
  users: [
    { name: "ann", devices: ["phone"] },
    { name: "bob", devices: ["phone"] },
  ],
  groups: [
    {
      members: [0, 1],
      messages: times.map(([sentAtMs, acknowledgedAtMs], i) => ({
        ...{ clientMessageId: `r-0-${i}`, sender: 0, text: "t" },
        times: { sentAtMs, acknowledgedAtMs },
      })),
    },
  ],
});

test("ledger: messages that were under way at once may be numbered either way, others not", () => {
  const rows = [row("r-0-1", 1, "t"), row("r-0-0", 2, "t")];
  const judgeTimed = (times: readonly (readonly [number, number])[]) => {
    const ledger = new Ledger(timed(times));
    ledger.checkDevice(0, "phone", rows);
    ledger.checkDevice(1, "phone", rows);
    ledger.finish();
    return ledger.counts;
  };
  const atOnce = [
    [1_000, 1_100],
    [1_050, 1_150],
  ] as const;
  const oneByOne = [
    [1_000, 1_100],
    [1_150, 1_200],
  ] as const;
  expect(countWrong(judgeTimed(atOnce))).toBe(0);
  expect(judgeTimed(oneByOne)).toMatchObject({ outOfOrder: 1, missing: 0 });
});

test("ledger: in a 1:1 the own messages may stand anywhere, those of the other side rise", () => {
  const direct = {
    ...timed([
      [1_000, 1_001],
      [1_002, 1_003],
    ]),
  };
  const plan = { ...direct, groups: [{ ...direct.groups[0]!, isDirect: true }] };
  const judgeRows = (rows: StoredRow[], user: number) => {
    const ledger = new Ledger(plan);
    ledger.checkDevice(user, "phone", rows);
    return ledger.counts.outOfOrder;
  };
  const late = [row("r-0-1", 2, "t"), row("r-0-0", 1, "t")];
  expect(judgeRows(late, 0)).toBe(0);
  expect(judgeRows(late, 1)).toBe(1);
});

test("ledger: unread is what others sent and the user has not read", () => {
  const ledger = new Ledger(
    timed([
      [1_000, 1_001],
      [1_002, 1_003],
      [1_004, 1_005],
    ]),
  );
  const rows = [row("r-0-0", 1, "t"), row("r-0-1", 2, "t"), row("r-0-2", 3, "t")];
  ledger.checkDevice(0, "phone", rows);
  ledger.checkDevice(1, "phone", rows);
  ledger.finish();
  const shown = (unread: number, readSequence: number) => {
    return [{ conversationId: "gx", unread, readSequence }];
  };
  ledger.checkUnread(0, "phone", shown(0, 0));
  ledger.checkUnread(1, "phone", shown(3, 0));
  ledger.checkUnread(1, "phone", shown(1, 2));
  expect(countWrong(ledger.counts)).toBe(0);
  ledger.checkUnread(1, "phone", shown(2, 2));
  ledger.checkUnread(0, "phone", shown(1, 0));
  expect(ledger.counts.unreadWrong).toBe(2);
});
