/** S3 for rows: damaged ones on real replicas, in LMDB's own file. */
import { afterEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { callsOf } from "../svrkit/monitors/calls.ts";
import { readMonitors } from "../svrkit/monitors/monitor.ts";
import { innerKey } from "./protocol/table.ts";
import { ROW_CLASS } from "./protocol/trim.ts";
import { registerKey, versionBytes } from "./storage/record.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";
import { flipBits, inLmdb, type LmdbTrees, namesOf } from "./testing/damaged-table.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const BAD = 0;
const TABLE = { keyspace: Keyspace.INBOX, key: Buffer.from("table") };
const OWN = registerKey(TABLE);
const patience = { timeout: 40_000 };
const limits = { timeoutMs: 40_000 };
const ROWS = ["a", "b", "c", "d"];

const change = (...operations: ({ up: string; value: string } | { trim: number })[]) =>
  cluster!.kv.change(
    {
      key: TABLE,
      change: {
        guards: [],
        operations: operations.map((one) => ({
          operation:
            "up" in one
              ? {
                  case: "upsert" as const,
                  value: { row: Buffer.from(one.up), value: Buffer.from(one.value) },
                }
              : {
                  case: "trim" as const,
                  value: {
                    throughVersion: one.trim,
                    rowPrefix: new Uint8Array(),
                    appendIds: false,
                  },
                },
        })),
      },
    },
    limits,
  );

const inner = (name: string) => innerKey(ROW_CLASS.row, Buffer.from(name));
const stateOf = (number: number) => cluster!.replica(number).replica!.state;
const heldAt = (number: number) => stateOf(number).entry(TABLE).register.heldVersion;
const countOf = (name: string) => readMonitors().find((m) => m.name === name)?.value ?? 0;

/** What one replica itself holds of a row; "damaged": it does not know. */
function rowAt(number: number, name: string): string | undefined {
  const state = stateOf(number);
  try {
    const row = state.row(state.entry(TABLE), inner(name));
    return row && `${Buffer.from(row.value)}@${row.version}`;
  } catch {
    return "damaged";
  }
}

function changesAt(number: number): string[] {
  const state = stateOf(number);
  return [...state.changes(state.entry(TABLE), 0)].map(
    ({ row, version }) => `${Buffer.from(row.subarray(1))}@${version}`,
  );
}

async function scan(level: Level): Promise<string[]> {
  const reply = await cluster!.kv.scanRows(
    {
      key: TABLE,
      level,
      first: new Uint8Array(),
      end: new Uint8Array(),
      limit: 0,
      reverse: false,
    },
    limits,
  );
  return reply.rows.map(({ row, value }) => `${Buffer.from(row)}=${Buffer.from(value)}`);
}

/** Every replica has the rows in its engine; replica BAD is down, and its trees are damaged by `act`. */
async function damaged(act: (trees: LmdbTrees) => void, scrubEveryMs = 0): Promise<void> {
  cluster = await startCluster({ config: { scrubEveryMs } });
  await cluster.allServe();
  for (const name of ROWS) await change({ up: name, value: `one ${name}` });
  await change({ up: "b", value: "two b" });
  await expect.poll(() => [0, 1, 2].map(heldAt), patience).toEqual([5, 5, 5]);
  await cluster.stop(BAD);
  await inLmdb(cluster.dirs[BAD]!, act);
}

const isRow = (name: string) => (place: Buffer) =>
  place.equals(Buffer.concat([OWN, Buffer.from(inner(name))]));
const isChange = (name: string) => (place: Buffer) =>
  place.subarray(0, OWN.length).equals(OWN) &&
  place.subarray(OWN.length + 6).equals(Buffer.from(inner(name)));
const remove = (tree: LmdbTrees["rows"], isMeant: (place: Buffer) => boolean) => {
  for (const place of namesOf(tree).filter(isMeant)) tree.removeSync(place);
};
const WHOLE = ["a@1", "c@3", "d@4", "b@5"];

test("S3: a damaged row is not served, is fetched from another replica, and reads right everywhere", async () => {
  await damaged((trees) => expect(flipBits(trees.rows, isRow("b"))).toBe(1));
  const before = countOf("kvsvr.rows_mended");
  await cluster!.start(BAD);
  expect(rowAt(BAD, "b")).toBe("damaged");
  expect(countOf("kvsvr.damaged_rows")).toBe(1);
  // Another replica serves it meanwhile.
  expect(await scan(Level.STRONG)).toEqual(["a=one a", "b=two b", "c=one c", "d=one d"]);
  await expect.poll(() => rowAt(BAD, "b"), patience).toBe("two b@5");
  expect(changesAt(BAD)).toEqual(WHOLE);
  expect(countOf("kvsvr.damaged_rows")).toBe(0);
  expect(countOf("kvsvr.rows_mended") - before).toBe(1);
  // It is on the disk, not in memory alone.
  await cluster!.stop(BAD);
  await cluster!.start(BAD);
  expect(rowAt(BAD, "b")).toBe("two b@5");
  // The register was whole all the time: this replica votes, and proposes.
  await cluster!.allServe();
  await cluster!.stop(1);
  await change({ up: "e", value: "one e" });
  await expect.poll(() => rowAt(BAD, "e"), patience).toBe("one e@6");
}, 120_000);

test("S3: one other replica is enough for a row whose version is known", async () => {
  await damaged((trees) => expect(flipBits(trees.rows, isRow("a"))).toBe(1));
  await cluster!.stop(1);
  await cluster!.start(BAD);
  await expect.poll(() => rowAt(BAD, "a"), patience).toBe("one a@1");
}, 120_000);

test("S3: who cannot reach any other replica serves nothing in a damaged row's place, and mends it later", async () => {
  await damaged((trees) => expect(flipBits(trees.rows, isRow("c"))).toBe(1));
  await cluster!.stop(1);
  await cluster!.stop(2);
  await cluster!.start(BAD);
  expect(rowAt(BAD, "c")).toBe("damaged");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect([rowAt(BAD, "c"), rowAt(BAD, "a")]).toEqual(["damaged", "one a@1"]);
  expect(() => changesAt(BAD)).toThrow("a row is damaged here");
  await cluster!.start(2);
  await expect.poll(() => rowAt(BAD, "c"), patience).toBe("one c@3");
  expect(changesAt(BAD)).toEqual(WHOLE);
}, 120_000);

test("S3: a row that is lost with its name is noticed by the name of its change, and comes back", async () => {
  await damaged((trees) => remove(trees.rows, isRow("d")));
  await cluster!.start(BAD);
  expect(() => changesAt(BAD)).toThrow("a row is damaged here");
  expect(rowAt(BAD, "d")).toBeUndefined();
  await expect.poll(() => rowAt(BAD, "d"), patience).toBe("one d@4");
  expect(changesAt(BAD)).toEqual(WHOLE);
}, 120_000);

test("S3: which version a row was, when its change's name is lost too, who holds the whole table knows", async () => {
  await damaged((trees) => {
    flipBits(trees.rows, isRow("a"));
    remove(trees.changes, isChange("a"));
  });
  await cluster!.start(BAD);
  expect(rowAt(BAD, "a")).toBe("damaged");
  await expect.poll(() => rowAt(BAD, "a"), patience).toBe("one a@1");
  expect(changesAt(BAD)).toEqual(WHOLE);
}, 120_000);

test("S3: a damaged row that was written anew is what a checkpoint writes over it", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("c")));
  await cluster!.start(BAD);
  await change({ up: "c", value: "two c" });
  await expect.poll(() => rowAt(BAD, "c"), patience).toBe("two c@6");
  expect(() => changesAt(BAD)).toThrow("a row is damaged here");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(countOf("kvsvr.damaged_rows")).toBe(1);
  await stateOf(BAD).checkpoint();
  expect(changesAt(BAD)).toEqual(["a@1", "d@4", "b@5", "c@6"]);
  await expect.poll(() => countOf("kvsvr.damaged_rows"), patience).toBe(0);
}, 120_000);

test("S8: a damaged row that its table has forgotten is removed, and the rest of them swept", async () => {
  await damaged((trees) => expect(flipBits(trees.rows, isRow("a"))).toBe(1));
  await change({ trim: 3 });
  await cluster!.start(BAD);
  await expect.poll(() => heldAt(BAD), patience).toBe(6);
  expect(await scan(Level.STRONG)).toEqual(["b=two b", "d=one d"]);
  await expect.poll(() => countOf("kvsvr.damaged_rows"), patience).toBe(0);
  await expect.poll(() => stateOf(BAD).entry(TABLE).unswept, patience).toBe(false);
  await cluster!.stop(BAD);
  await inLmdb(cluster!.dirs[BAD]!, ({ rows, changes }) => {
    const left = namesOf(rows).filter((place) => place.subarray(0, OWN.length).equals(OWN));
    expect(left.map((place) => place.subarray(OWN.length + 1).toString())).toEqual(["b", "d"]);
    expect(namesOf(changes)).toHaveLength(2);
  });
}, 120_000);

test("S3: a row that is there under a wrong name goes when both others say that there is none", async () => {
  const wrong = Buffer.concat([OWN, Buffer.from(inner("x"))]);
  await damaged(({ rows }) => {
    rows.putSync(wrong, rows.get(namesOf(rows).find(isRow("a"))!)!);
  }, 300);
  await cluster!.stop(1);
  await cluster!.start(BAD);
  expect(rowAt(BAD, "x")).toBe("one a@1");
  await expect.poll(() => countOf("kvsvr.damaged_rows"), patience).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(rowAt(BAD, "x")).toBe("one a@1");
  await cluster!.start(1);
  await expect.poll(() => rowAt(BAD, "x"), patience).toBeUndefined();
  expect(changesAt(BAD)).toEqual(WHOLE);
}, 120_000);

test("S3: one replica is not looked through again for what it has not while the other is away", async () => {
  const wrong = (name: string) => Buffer.concat([OWN, Buffer.from(inner(name))]);
  await damaged(({ rows }) => {
    for (const name of ["x", "y", "z"])
      rows.putSync(wrong(name), rows.get(namesOf(rows).find(isRow("a"))!)!);
  }, 300);
  await cluster!.stop(1);
  await cluster!.start(BAD);
  await expect.poll(() => countOf("kvsvr.damaged_rows"), patience).toBe(3);
  const asked = () => callsOf("Replica/Fetch").arrived;
  const before = asked();
  // Each at its version, and all three in one look.
  await expect.poll(() => asked() - before, patience).toBe(3 + 1);
  // Then at their versions alone, twice: the rests are 500 ms, 1 s, 2 s, 4 s.
  await expect.poll(() => asked() - before, patience).toBe(4 + 3 + 3);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(asked() - before).toBe(4 + 3 + 3);
  await cluster!.start(1);
  for (const name of ["x", "y", "z"])
    await expect.poll(() => rowAt(BAD, name), patience).toBeUndefined();
  expect(changesAt(BAD)).toEqual(WHOLE);
}, 120_000);

test("S3: a table whose register is lost with its name is copied from both others", async () => {
  await damaged(({ registers }) => registers.removeSync(OWN), 300);
  // While they serve, the comparison at its start may bring the table before anything looks at its rows.
  for (const other of [1, 2]) await cluster!.stop(other);
  const before = countOf("kvsvr.keys_renewed");
  await cluster!.start(BAD);
  await expect.poll(() => countOf("kvsvr.damaged_keys"), patience).toBe(1);
  for (const other of [1, 2]) await cluster!.start(other);
  await expect.poll(() => countOf("kvsvr.keys_renewed"), patience).toBe(before + 1);
  await expect.poll(() => [heldAt(BAD), changesAt(BAD)], patience).toEqual([5, WHOLE]);
}, 120_000);

test("S3: a row whose change has the name of a forgotten one is not forgotten: its name is mended", async () => {
  await damaged(({ changes }) => {
    remove(changes, isChange("d"));
    changes.putSync(Buffer.concat([OWN, versionBytes(1), Buffer.from(inner("d"))]), Buffer.of(1));
  }, 300);
  await change({ trim: 3 });
  await cluster!.start(BAD);
  await expect.poll(() => [heldAt(BAD), changesAt(BAD)], patience).toEqual([6, ["d@4", "b@5"]]);
  expect(rowAt(BAD, "d")).toBe("one d@4");
  await expect.poll(() => countOf("kvsvr.damaged_rows"), patience).toBe(0);
}, 120_000);

test("a stop does not wait until a row that nobody has is asked for again", async () => {
  await damaged((trees) => flipBits(trees.rows, isRow("c")));
  for (const other of [1, 2]) await cluster!.stop(other);
  await cluster!.start(BAD);
  expect(rowAt(BAD, "c")).toBe("damaged");
  // It rests four seconds by now.
  await new Promise((resolve) => setTimeout(resolve, 4_200));
  const startedMs = performance.now();
  await cluster!.stop(BAD);
  expect(performance.now() - startedMs).toBeLessThan(1_500);
}, 120_000);
