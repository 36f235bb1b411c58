import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { expect, test } from "vitest";
import { inLmdb, namesOf } from "../testing/damaged-table.ts";
import { engineSuite } from "./engine.suite.ts";
import { type EngineEntry, EngineFailed, RecordDamaged, type StateEngine } from "./engine.ts";
import { CommitFailures, openLmdb } from "./lmdb.ts";
import { keyOf, registerKey } from "./record.ts";
import { removeSlice } from "./slot-removal.ts";

engineSuite("lmdb", () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  return { engine: openLmdb(dir), cleanUp: () => rmSync(dir, { recursive: true, force: true }) };
});

test("lmdb: what a later version has written is refused, not misread", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  await openLmdb(dir).close();
  await openLmdb(dir).close();
  const root = open({ path: `${dir}/state.mdb`, maxDbs: 5, encoding: "binary" });
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
  const root = open({ path: `${dir}/state.mdb`, maxDbs: 5, encoding: "binary" });
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

test("S3: a register that is lost with its name is damaged, not absent, wherever it is asked for", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  const keys = ["a", "b", "c", "d"].map((name) =>
    registerKey({ keyspace: 1, key: Buffer.from(name) }),
  );
  const commit = (engine: StateEngine, own: Buffer, more: Partial<EngineEntry> = {}) =>
    engine.commit([
      { registerKey: own, register: Buffer.from("register"), rows: [], forgotten: [], ...more },
    ]);
  const before = openLmdb(join(dir, "state"));
  for (const own of keys) await commit(before, own);
  await before.close();
  const [first, second, third, last] = keys.sort(Buffer.compare) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  await inLmdb(dir, ({ registers, names }) => {
    registers.removeSync(first);
    registers.removeSync(last);
    // As an earlier version has left it.
    names.removeSync(second);
    // A flipped bit in either tree.
    const wrong = Buffer.from(third);
    wrong[wrong.length - 1]! ^= 0x80;
    names.putSync(wrong, Buffer.from([1]));
  });
  const engine = openLmdb(join(dir, "state"));
  expect(() => engine.register(first)).toThrow(RecordDamaged);
  expect(() => engine.register(last)).toThrow(RecordDamaged);
  const absent = registerKey({ keyspace: 1, key: Buffer.from("absent") });
  expect(engine.register(absent)).toBeUndefined();
  const listed: [Buffer, boolean][] = [];
  for (let after: Buffer | undefined; ; after = listed.at(-1)![0]) {
    const page = engine.keys(after, 2);
    listed.push(
      ...page.map((one): [Buffer, boolean] => [one.registerKey, one.register !== undefined]),
    );
    if (page.length < 2) break;
  }
  expect(listed).toEqual([
    [first, false],
    [second, true],
    [third, true],
    [last, false],
  ]);
  // The listing has found the one without a name, and the next commit notes it; what is removed leaves none.
  await commit(engine, first);
  expect(engine.register(first)?.toString()).toBe("register");
  await commit(engine, last, { register: undefined, removed: true });
  expect(engine.register(last)).toBeUndefined();
  await engine.close();
  await inLmdb(dir, ({ names }) => {
    const sound = namesOf(names).filter((own) => own.equals(registerKey(keyOf(own))));
    expect(sound).toEqual([first, second, third]);
  });
  rmSync(dir, { recursive: true, force: true });
});

test("S3: a register without a name that is removed while it is listed leaves none, and is absent", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  const [gone, stays] = ["a", "b"].map((name) =>
    registerKey({ keyspace: 1, key: Buffer.from(name) }),
  ) as [Buffer, Buffer];
  const register = Buffer.from("register");
  const before = openLmdb(join(dir, "state"));
  for (const own of [gone, stays])
    await before.commit([{ registerKey: own, register, rows: [], forgotten: [] }]);
  await before.close();
  // As an earlier version has left it.
  await inLmdb(dir, ({ names }) => names.clearSync());
  const engine = openLmdb(join(dir, "state"));
  const removing = engine.commit([
    { registerKey: gone, register: undefined, rows: [], forgotten: [], removed: true },
  ]);
  expect(engine.keys(undefined, 10)).toHaveLength(2);
  await Promise.all([removing, engine.commit([])]);
  expect(engine.register(gone)).toBeUndefined();
  await engine.commit([]);
  expect(engine.register(gone)).toBeUndefined();
  await engine.close();
  await inLmdb(dir, ({ names }) => expect(namesOf(names)).toEqual([stays]));
  rmSync(dir, { recursive: true, force: true });
});

test.each([
  ["the start before", 2, true],
  ["a start of another version, which keeps no names", 3, false],
])(
  "S3: a name without a register tells of a loss after %s: %i, %s",
  async (_, incarnation, isLost) => {
    const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
    const [gone, stays] = ["a", "b"].map((name) =>
      registerKey({ keyspace: 1, key: Buffer.from(name) }),
    ) as [Buffer, Buffer];
    const commit = (engine: StateEngine, own: Buffer) =>
      engine.commit([
        { registerKey: own, register: Buffer.from("register"), rows: [], forgotten: [] },
      ]);
    const first = openLmdb(join(dir, "state"), 1);
    for (const own of [gone, stays]) await commit(first, own);
    await first.close();
    await inLmdb(dir, ({ registers }) => registers.removeSync(gone));
    const engine = openLmdb(join(dir, "state"), incarnation);
    if (isLost) expect(() => engine.register(gone)).toThrow(RecordDamaged);
    else expect(engine.register(gone)).toBeUndefined();
    expect(engine.keys(undefined, 10)).toHaveLength(isLost ? 2 : 1);
    // What was listed has a name again from the next commit on.
    await commit(engine, stays);
    await engine.close();
    await inLmdb(dir, ({ names }) => expect(namesOf(names)).toContainEqual(stays));
    rmSync(dir, { recursive: true, force: true });
  },
);

test("lmdb: a full disk's replica of an earlier version's state starts, and says what is missing", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  const key = registerKey({ keyspace: 1, key: Buffer.from("t") });
  const before = openLmdb(dir);
  await before.commit([
    { registerKey: key, register: Buffer.from("register"), rows: [], forgotten: [] },
  ]);
  await before.close();
  const root = open({ path: `${dir}/state.mdb`, maxDbs: 5, encoding: "binary" });
  await root.openDB({ name: "names" }).drop();
  await root.close();
  const urlOf = (file: string) => JSON.stringify(new URL(file, import.meta.url));
  // No byte of any file can be written there.
  const start = `
    import { openLmdb } from ${urlOf("lmdb.ts")};
    import { readMonitors } from ${urlOf("../../svrkit/monitors/monitor.ts")};
    const said = [];
    const engine = openLmdb(process.argv[1], 2, { error: (about, text) => said.push(text) });
    const own = Buffer.from(process.argv[2], "hex");
    const unkept = readMonitors().find(({ name }) => name === "kvsvr.names_unkept").value;
    console.log(engine.register(own).toString(), engine.keys(undefined, 10).length, unkept);
    console.log(...said);`;
  const node = [process.execPath, "--input-type=module", "-e", start, dir, key.toString("hex")];
  const onFullDisk = ["-c", 'ulimit -f 0; exec "$@"', "sh", ...node];
  const { stdout, stderr } = spawnSync("sh", onFullDisk, { encoding: "utf8" });
  const [state, ...said] = stdout.trim().split("\n");
  expect(state, stderr).toBe("register 1 1");
  expect(said.join()).toMatch(/^names of registers cannot be kept a second time.*Free space/);
  rmSync(dir, { recursive: true, force: true });
});

test("lmdb: why a commit failed is told as soon as it is known, and not waited for without end", async () => {
  const failed = (commitError?: Promise<never>) =>
    Object.assign(new Error("see the reason"), commitError && { commitError });
  const panic = Object.assign(new Error("a broken disk"), { code: -30_795 });
  const failures = new CommitFailures();
  await expect(failures.tell(failed(Promise.reject(panic)))).rejects.toThrow(EngineFailed);
  const full = new Error("no space left");
  await expect(failures.tell(failed(Promise.reject(full)))).rejects.toBe(full);
  await expect(failures.tell(failed())).rejects.toThrow("see the reason");
  await expect(failures.tell(failed(new Promise(() => {})), 5)).rejects.toThrow("see the reason");
});

test("lmdb: commits that go on failing and never say why are a panic; one that succeeds ends the count", async () => {
  const failures = new CommitFailures();
  const commitError = new Promise<never>(() => {});
  const fail = () => failures.tell(Object.assign(new Error("see the reason"), { commitError }), 1);
  for (let i = 0; i < 4; i++) await expect(fail()).rejects.not.toBeInstanceOf(EngineFailed);
  failures.succeeded();
  for (let i = 0; i < 4; i++) await expect(fail()).rejects.not.toBeInstanceOf(EngineFailed);
  await expect(fail()).rejects.toThrow(/^5 commits failed .* does not say why/);
});
