/** The control table on a real store: set by its client, followed by processes, kept without a store. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../kvsvr/client.ts";
import { startCluster, type TestCluster } from "../kvsvr/testing/cluster.ts";
import { Beat } from "../svrkit/beat.ts";
import { Client } from "../svrkit/client.ts";
import { Blocks } from "../svrkit/failover/blocks.ts";
import { Shards } from "../svrkit/failover/shards.ts";
import { silentLogger } from "../svrkit/log.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { ControlTable } from "./client.ts";
import { BlockFollower } from "./follower.ts";
import { AUDIT_ROWS_MAX, renewalRequest, stateOf, stateRequest } from "./rows.ts";

const MINUTE_MS = 60_000;
const FACTS = { forMs: MINUTE_MS, why: "a drill", who: "ann", forced: false };
const SOON = { timeout: 2_000, interval: 10 };
const campus = (name: string) => ({ campus: name, service: "" });

let cluster: TestCluster;
let client: Client;
let table: ControlTable;
let dir: string;
const followers: BlockFollower[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-control-"));
  cluster = await startCluster();
  client = new Client({ process: "test", campus: "" });
  table = new ControlTable(kvsvr());
});
afterEach(async () => {
  for (const follower of followers.splice(0)) follower.stop();
  client.stop();
  await cluster.close();
  rmSync(dir, { recursive: true });
});

const kvsvr = () => client.callee("kvsvr", cluster.addresses, { caller: "test" });

/** A process of campus a that follows; `clockMs` is how much its clock is ahead, `name` its copy. */
function follow(facts: { clockMs?: () => number; name?: string } = {}): Blocks {
  const blocks = new Blocks();
  const { clockMs = () => 0, name = "blocks.json" } = facts;
  const follower = new BlockFollower({
    ...{
      kvsvr: kvsvr(),
      campus: "a",
      blocks,
      shards: new Shards(),
      files: systemTextFiles,
      log: silentLogger(),
      beat: new Beat(),
    },
    path: join(dir, name),
    now: () => Date.now() + clockMs(),
  });
  follower.start();
  followers.push(follower);
  return blocks;
}

const blocksB = (blocks: Blocks) => () => blocks.find("b", "text") !== undefined;

test("control: who follows knows of a block within two seconds, and of its end", async () => {
  const blocks = follow();
  await table.block(campus("b"), FACTS);
  await expect.poll(blocksB(blocks), SOON).toBe(true);
  expect(blocks.find("b", "text")).toMatchObject({ why: "a drill" });
  expect(blocks.find("a", "text")).toBeUndefined();
  await table.unblock(campus("b"), "bob");
  await expect.poll(blocksB(blocks), SOON).toBe(false);
});

test("control: a block ends at its time by each process's own clock, with no store to ask", async () => {
  let aheadMs = 0;
  const blocks = follow({ clockMs: () => aheadMs });
  await table.block(campus("b"), FACTS);
  await expect.poll(blocksB(blocks), SOON).toBe(true);
  await Promise.all([0, 1, 2].map((replica) => cluster.stop(replica)));
  aheadMs = MINUTE_MS - 20_000;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(blocksB(blocks)()).toBe(true);
  aheadMs = MINUTE_MS;
  await expect.poll(blocksB(blocks), SOON).toBe(false);
});

test("control: a process that starts with no store to ask goes by its last copy", async () => {
  const before = follow();
  await table.block(campus("b"), FACTS);
  await expect.poll(blocksB(before), SOON).toBe(true);
  followers.splice(0)[0]!.stop();
  await Promise.all([0, 1, 2].map((replica) => cluster.stop(replica)));
  expect(blocksB(follow())()).toBe(true);
  expect(blocksB(follow({ clockMs: () => MINUTE_MS }))()).toBe(false);
});

test("control: one replica alone is believed when it knows more, and not when it knows less", async () => {
  await table.block(campus("b"), FACTS);
  const { replica } = cluster.replica(0);
  const key = { keyspace: Keyspace.CONTROL, key: Buffer.from("control") };
  await expect.poll(() => replica!.entry(key).register.heldVersion).toBe(1);
  await Promise.all([1, 2].map((replica) => cluster.stop(replica)));
  await expect.poll(blocksB(follow()), { timeout: 5_000 }).toBe(true);
  const name = "newer.json";
  writeFileSync(join(dir, name), JSON.stringify({ version: 99, blocks: [] }));
  const informed = follow({ name });
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(blocksB(informed)()).toBe(false);
}, 15_000);

test("control: a copy that cannot be read is no copy, and the table is read anyway", async () => {
  writeFileSync(join(dir, "blocks.json"), '{"version": "new"}');
  const blocks = follow();
  expect(blocksB(blocks)()).toBe(false);
  await table.block(campus("b"), FACTS);
  await expect.poll(blocksB(blocks), SOON).toBe(true);
});

test("control: of two who block at once one is refused, and told what stands", async () => {
  const other = new ControlTable(kvsvr());
  const both = await Promise.allSettled([
    table.block(campus("b"), FACTS),
    other.block(campus("c"), { ...FACTS, who: "bob" }),
  ]);
  const refused = both.filter((outcome) => outcome.status === "rejected");
  expect(refused).toHaveLength(1);
  expect(refused[0]!.reason).toMatchObject({ code: "FAILED_PRECONDITION" });
  expect(await table.blocks()).toHaveLength(1);
  expect(await table.audit(10)).toHaveLength(1);
});

test("control: a block that is put off is one act, its holder's, and does not come back", async () => {
  const holder = { who: FACTS.who, why: FACTS.why };
  const { untilMs } = await table.block(campus("b"), FACTS);
  await table.renew(campus("b"), { ...holder, forMs: 2 * MINUTE_MS });
  const [block] = await table.blocks();
  expect(block!.untilMs - untilMs).toBeGreaterThanOrEqual(MINUTE_MS);
  const refused = { code: "FAILED_PRECONDITION" };
  const others = table.renew(campus("b"), { ...holder, who: "bob", forMs: MINUTE_MS });
  await expect(others).rejects.toMatchObject(refused);
  // Decided before it is ended, written after that.
  const store = new KvClient(kvsvr());
  const before = stateOf(await store.getRows(stateRequest(Level.STRONG), { timeoutMs: 2_000 }));
  await table.unblock(campus("b"), "bob");
  const written = await store.change(renewalRequest(before, before.blocks));
  expect([written.applied, await table.blocks()]).toEqual([false, []]);
  const late = table.renew(campus("b"), { ...holder, forMs: MINUTE_MS });
  await expect(late).rejects.toMatchObject(refused);
  expect((await table.audit(10)).map(({ did }) => did)).toEqual(["block", "unblock"]);
});

test("control: the audit log says who did what, in order, and keeps a stated number", async () => {
  await table.block({ campus: "b", service: "text" }, { ...FACTS, forced: true });
  await table.unblock({ campus: "b", service: "text" }, "bob");
  expect(await table.audit(10)).toMatchObject([
    { number: 1, who: "ann", did: "block", what: "b/text", why: "a drill", forced: true },
    { number: 2, who: "bob", did: "unblock", what: "b/text", why: "a drill" },
  ]);
  for (let n = 3; n <= AUDIT_ROWS_MAX + 4; n++) await table.block(campus("b"), FACTS);
  const kept = await table.audit(2 * AUDIT_ROWS_MAX);
  expect([kept.length, kept[0]!.number, kept.at(-1)!.number]).toEqual([
    AUDIT_ROWS_MAX,
    5,
    AUDIT_ROWS_MAX + 4,
  ]);
}, 60_000);
