/** What a replica knows of and does not hold is fetched, though nobody asks for it. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { rest } from "../svrkit/rest.ts";
import { sealDecision } from "./protocol/decision.ts";
import { NO_OPERATIONS } from "./protocol/operations.ts";
import { Repair } from "./repair.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await startCluster();
  await cluster.allServe();
});
afterEach(() => cluster.close());

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const put = (name: string, value: string) => ({
  key: key(name),
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});

const heldBy = (number: number, name: string) =>
  cluster.replica(number).replica!.entry(key(name)).register.heldVersion;

test("kv: a comparison that is asked for while one is under way follows it", async () => {
  await cluster.kv.write(put("a", "one"));
  const repair = new Repair(cluster.replica(2).replica!);
  const compared: string[] = [];
  const { compare } = repair;
  repair.compare = async (peer, first) => {
    compared.push(`${peer} begins`);
    const missing = await compare.call(repair, peer, first);
    compared.push(`${peer} ends`);
    return missing;
  };
  const one = repair.compareLater(0);
  // It has not begun: it will see what this one is asked for.
  expect(repair.compareLater(0)).toBe(one);
  await expect.poll(() => compared[0]).toBe("0 begins");
  const another = repair.compareLater(0);
  await Promise.all([one, another]);
  expect(compared).toEqual(["0 begins", "0 ends", "0 begins", "0 ends"]);
  repair.stop();
});

test("kv: what could not be fetched is fetched when somebody has it", async () => {
  await cluster.kv.write(put("a", "one"));
  for (const number of [0, 1, 2]) await expect.poll(() => heldBy(number, "a")).toBe(1);
  const of = (number: number) => cluster.replica(number).replica!;
  const value = { deleted: false, value: Buffer.from("two"), operations: NO_OPERATIONS };
  const decision = sealDecision(2, of(0).self, { case: "key", value });
  const { version, digest } = decision;
  of(2).take(of(2).entry(key("a")), { kind: "notice", version, digest });
  // Longer than the first attempt takes to fail.
  await rest(500);
  expect(heldBy(2, "a")).toBe(1);
  for (const number of [0, 1])
    of(number).take(of(number).entry(key("a")), { kind: "learn", decision });
  await expect.poll(() => heldBy(2, "a"), { timeout: 8_000 }).toBe(2);
});
