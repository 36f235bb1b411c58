/** What every state engine must do. Called by lmdb.test.ts and memory.test.ts. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { EngineRow, StateEngine } from "./engine.ts";
import { registerKey } from "./record.ts";
import { removeSlice } from "./slot-removal.ts";

export function engineSuite(
  name: string,
  open: () => { engine: StateEngine; cleanUp: () => void },
): void {
  let engine: StateEngine;
  let cleanUp: () => void;
  beforeEach(() => {
    ({ engine, cleanUp } = open());
  });
  afterEach(async () => {
    await engine.close();
    cleanUp();
  });
  const key = (text: string) => registerKey({ keyspace: 1, key: Buffer.from(text) });
  const row = (text: string, version: number, deleted = false): EngineRow => ({
    row: Buffer.from(text),
    value: Buffer.from(`value of ${text}`),
    version,
    deleted,
  });
  const names = (rows: Iterable<EngineRow>) =>
    [...rows].map((r) => `${Buffer.from(r.row)}@${r.version}`);
  const commit = (table: string, ...rows: EngineRow[]) =>
    engine.commit([
      {
        registerKey: key(table),
        register: Buffer.from(`register of ${table}`),
        rows,
        forgotten: [],
      },
    ]);
  const all = { first: Buffer.from(""), end: undefined, reverse: false };

  test(`${name}: registers and rows that were committed are there`, async () => {
    expect(engine.register(key("t"))).toBeUndefined();
    await commit("t", row("a", 1));
    expect(engine.register(key("t"))?.toString()).toBe("register of t");
    expect(engine.row(key("t"), Buffer.from("a"))).toMatchObject({ version: 1, deleted: false });
    expect(engine.row(key("t"), Buffer.from("b"))).toBeUndefined();
  });

  test(`${name}: rows come in key order, both ways, within bounds and within the table`, async () => {
    await commit("t", row("c", 3), row("a", 1), row("b", 2));
    await commit("u", row("x", 1));
    expect(names(engine.rows(key("t"), all))).toEqual(["a@1", "b@2", "c@3"]);
    expect(names(engine.rows(key("t"), { ...all, reverse: true }))).toEqual(["c@3", "b@2", "a@1"]);
    const part = { first: Buffer.from("b"), end: Buffer.from("c"), reverse: false };
    expect(names(engine.rows(key("t"), part))).toEqual(["b@2"]);
    expect(names(engine.rows(key("t"), { ...part, reverse: true }))).toEqual(["b@2"]);
  });

  test(`${name}: a table ends where the next one begins`, async () => {
    const tables = ["t", "t2", "u", "v"];
    for (const table of tables) await commit(table, row(`row of ${table}`, 1));
    for (const table of tables) {
      const own = [`row of ${table}@1`];
      expect(names(engine.rows(key(table), all))).toEqual(own);
      expect(names(engine.rows(key(table), { ...all, reverse: true }))).toEqual(own);
      expect(names(engine.changes(key(table), 0))).toEqual(own);
    }
  });

  test(`${name}: changes come in the order of versions, an overwritten row once, deletions included`, async () => {
    await commit("t", row("a", 1), row("b", 2));
    await commit("t", row("a", 3), row("c", 4, true));
    expect(names(engine.changes(key("t"), 0))).toEqual(["b@2", "a@3", "c@4"]);
    expect(names(engine.changes(key("t"), 2))).toEqual(["a@3", "c@4"]);
    expect(names(engine.changes(key("t"), 4))).toEqual([]);
  });

  test(`${name}: forgotten rows are gone, in both orders, unless they were written anew`, async () => {
    await commit("t", row("a", 1), row("b", 2), row("c", 3, true), row("d", 4));
    await commit("t", row("b", 5));
    const forgotten = [row("a", 1), row("b", 2), row("c", 3, true)];
    const register = Buffer.from("newer register");
    await engine.commit([{ registerKey: key("t"), register, rows: [row("e", 6)], forgotten }]);
    expect(engine.register(key("t"))?.toString()).toBe("newer register");
    expect(engine.row(key("t"), Buffer.from("a"))).toBeUndefined();
    expect(names(engine.rows(key("t"), all))).toEqual(["b@5", "d@4", "e@6"]);
    expect(names(engine.changes(key("t"), 0))).toEqual(["d@4", "b@5", "e@6"]);
    await commit("t", row("a", 7));
    expect(names(engine.changes(key("t"), 4))).toEqual(["b@5", "e@6", "a@7"]);
  });

  test(`${name}: a row forgotten and written in one commit is there`, async () => {
    await commit("t", row("a", 1));
    const forgotten = [row("a", 1)];
    const register = Buffer.from("register");
    await engine.commit([{ registerKey: key("t"), register, rows: [row("a", 2)], forgotten }]);
    expect(names(engine.rows(key("t"), all))).toEqual(["a@2"]);
    expect(names(engine.changes(key("t"), 0))).toEqual(["a@2"]);
  });

  test(`${name}: names of changes come in the order of versions, from one on, and go with a lost row`, async () => {
    const changes = (version: number, from: string, limit = 10) =>
      engine
        .changeNames(key("t"), { version, row: Buffer.from(from) }, limit)
        .map((change) => `${Buffer.from(change.row)}@${change.version}`);
    await commit("t", row("a", 1), row("b", 2), row("c", 2), row("d", 4, true));
    await commit("u", row("x", 1));
    expect(changes(0, "")).toEqual(["a@1", "b@2", "c@2", "d@4"]);
    expect(changes(2, "c")).toEqual(["c@2", "d@4"]);
    expect(changes(1, "b", 2)).toEqual(["b@2", "c@2"]);
    const lost = [
      { row: Buffer.from("a"), versions: [1] },
      { row: Buffer.from("c"), versions: [2] },
    ];
    const nothing = { registerKey: key("t"), register: undefined, forgotten: [] };
    await engine.commit([{ ...nothing, rows: [row("c", 2)], lost }]);
    expect(changes(0, "")).toEqual(["b@2", "c@2", "d@4"]);
    expect(names(engine.rows(key("t"), all))).toEqual(["b@2", "c@2", "d@4"]);
    expect(names(engine.rows(key("u"), all))).toEqual(["x@1"]);
  });

  test(`${name}: a slot's registers and rows are removed, and no others`, async () => {
    const slotOfKey = (k: string) => key(k).readUInt16BE(1);
    await commit("t", row("a", 1), row("b", 2, true), row("c", 3));
    await commit("other", row("a", 1));
    const slice = { keyspace: key("t")[0]!, first: slotOfKey("t"), last: slotOfKey("t") };
    await removeSlice(engine, slice, (entries) => engine.commit(entries));
    expect(engine.register(key("t"))).toBeUndefined();
    expect(engine.row(key("t"), Buffer.from("a"))).toBeUndefined();
    expect(names(engine.rows(key("t"), all))).toEqual([]);
    expect(names(engine.changes(key("t"), 0))).toEqual([]);
    expect(engine.keys(undefined, 10).map((k) => k.registerKey)).toEqual([key("other")]);
    expect(names(engine.rows(key("other"), all))).toEqual(["a@1"]);
    await commit("t", row("d", 1));
    expect(names(engine.rows(key("t"), all))).toEqual(["d@1"]);
  });

  test(`${name}: keys are listed in pages`, async () => {
    for (const table of ["k1", "k2", "k3"]) await commit(table);
    const first = engine.keys(undefined, 2);
    const second = engine.keys(first.at(-1)!.registerKey, 2);
    const listed = [...first, ...second].map((k) => k.registerKey.subarray(4).toString());
    expect(listed.sort()).toEqual(["k1", "k2", "k3"]);
    expect(second).toHaveLength(1);
  });

  test(`${name}: what a commit wrote is visible the moment it resolves, with readers at work`, async () => {
    for (let round = 1; round <= 200; round++) {
      let resolved = false;
      const committed = commit("t", row("a", round)).then(() => {
        resolved = true;
        expect(engine.row(key("t"), Buffer.from("a"))?.version).toBe(round);
        expect(names(engine.changes(key("t"), round - 1))).toEqual([`a@${round}`]);
      });
      while (!resolved) {
        engine.row(key("t"), Buffer.from("a"));
        await Promise.resolve();
        engine.row(key("t"), Buffer.from("a"));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await committed;
    }
  });
}
