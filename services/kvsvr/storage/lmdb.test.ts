import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { expect, test } from "vitest";
import { engineSuite } from "./engine.suite.ts";
import { RecordDamaged } from "./engine.ts";
import { openLmdb } from "./lmdb.ts";
import { registerKey } from "./record.ts";
import { removeSlice } from "./slot-removal.ts";

engineSuite("lmdb", () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  return { engine: openLmdb(dir), cleanUp: () => rmSync(dir, { recursive: true, force: true }) };
});

test("lmdb: what a later version has written is refused, not misread", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  await openLmdb(dir).close();
  await openLmdb(dir).close();
  const root = open({ path: `${dir}/state.mdb`, maxDbs: 4, encoding: "binary" });
  const options = { name: "about", encoding: "binary", keyEncoding: "binary" } as const;
  await root.openDB<Buffer, Buffer>(options).put(Buffer.from("format"), Buffer.from([2]));
  await root.close();
  expect(() => openLmdb(dir)).toThrow("the store's state has format 2");
  rmSync(dir, { recursive: true, force: true });
});

test("lmdb: damaged records are never served, and a slot that is moved away is rid of them", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  const key = registerKey({ keyspace: 1, key: Buffer.from("t") });
  const row = { row: Buffer.from("a"), value: Buffer.from("value"), version: 1, deleted: false };
  const before = openLmdb(dir);
  await before.commit([
    { registerKey: key, register: Buffer.from("register"), rows: [row], forgotten: [] },
  ]);
  await before.close();
  const root = open({ path: `${dir}/state.mdb`, maxDbs: 4, encoding: "binary" });
  for (const name of ["registers", "rows"]) {
    const tree = root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
    for (const { key: place, value } of [...tree.getRange({})]) {
      const broken = Buffer.from(value);
      broken[broken.length - 1]! ^= 1;
      await tree.put(Buffer.from(place), broken);
    }
  }
  await root.close();
  const engine = openLmdb(dir);
  expect(() => engine.register(key)).toThrow(RecordDamaged);
  expect(() => engine.row(key, row.row)).toThrow(RecordDamaged);
  const all = { first: Buffer.from(""), end: undefined, reverse: false };
  expect(() => [...engine.rows(key, all)]).toThrow(RecordDamaged);
  expect(() => [...engine.changes(key, 0)]).toThrow(RecordDamaged);
  const slot = key.readUInt16BE(1);
  const slice = { keyspace: 1, first: slot, last: slot };
  await removeSlice(engine, slice, (entries) => engine.commit(entries));
  expect(engine.register(key)).toBeUndefined();
  expect(engine.row(key, row.row)).toBeUndefined();
  expect(engine.hasRows(key)).toBe(false);
  await engine.close();
  rmSync(dir, { recursive: true, force: true });
});
