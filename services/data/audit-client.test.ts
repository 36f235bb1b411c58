/** Whom an audit is about, in a real store. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  encodeAccountRecord,
  makeAccountRecord,
} from "../../protos/gen/tricampus/data/v1/account_codec.ts";
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { startCluster, type TestCluster } from "../kvsvr/testing/cluster.ts";
import { toBytes } from "../svrkit/codec.ts";
import { nameKey } from "./account/keys.ts";
import { userKey } from "./account/rows.ts";
import { AuditClient } from "./audit-client.ts";
import { inboxKey } from "./inbox/rows.ts";

let cluster: TestCluster;
const findUser = (nameOrId: string) => new AuditClient(cluster.kv).findUser(nameOrId);

beforeAll(async () => {
  cluster = await startCluster();
  const record = makeAccountRecord({ name: "Ann", userId: "01au1-1" });
  const value = toBytes(encodeAccountRecord, record);
  await cluster.kv.write({
    key: nameKey("Ann"),
    write: { case: "put", value },
    expectedVersion: undefined,
  });
  await putRow(userKey("01au1-1"));
  await putRow(userKey("01au1-2"));
  await putRow(inboxKey("01au1-3"));
});
afterAll(() => cluster.close());

async function putRow(key: Key): Promise<void> {
  const upsert = { row: Buffer.from("r"), value: Buffer.from("v") };
  const operations = [{ operation: { case: "upsert" as const, value: upsert } }];
  await cluster.kv.change({ key, change: { guards: [], operations } });
}

test("audit: a user is found by name, in whatever letters, and by id", async () => {
  expect(await findUser("ann")).toBe("01au1-1");
  expect(await findUser("01au1-2")).toBe("01au1-2");
  expect(await findUser("01au1-3")).toBe("01au1-3");
});

test.each(["nosuch", "01au1-9", "", "x".repeat(65)])("audit: %o is no user", async (name) => {
  expect(await findUser(name)).toBeUndefined();
});
