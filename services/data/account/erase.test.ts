/** The end of an account: from its first step on nobody reaches the user, and its last one takes nobody else's name. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Account } from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../../sdk/testing/small-platform.ts";

let platform: SmallPlatform;

beforeEach(async () => {
  platform = await startSmallPlatform();
});

afterEach(() => platform.stop());

const register = (name: string) =>
  platform
    .calleeAs("access")
    .call(Account.register, { name, password: "correct horse", device: "phone", platform: 0 });
const recordOf = (name: string) =>
  platform.calleeAs("account").call(AccountData.getByName, { name });
const erase = (record: Awaited<ReturnType<typeof recordOf>>) =>
  platform.calleeAs("account").call(AccountData.erase, { record });

test("account data: who is to be erased is gone for everybody at once, and stays so", async () => {
  const { userId, ticket } = await register("Ann");
  const facts = async () =>
    (await platform.calleeAs("contact").call(AccountData.facts, { userId }, { ticket })).deleted;
  const record = await recordOf("Ann");
  expect(await facts()).toBe(false);
  const user = { record, sinceMs: 1 };
  await platform.calleeAs("account").call(AccountData.beginErasing, { user }, { ticket });
  expect(await facts()).toBe(true);
  await erase(record);
  expect(await facts()).toBe(true);
});

test("account data: a name that somebody else has by now stays when it is freed again", async () => {
  await register("Ann");
  const record = await recordOf("Ann");
  await erase(record);
  await expect(recordOf("Ann")).rejects.toMatchObject({ code: "NOT_FOUND" });
  const other = await register("Ann");
  await erase(record);
  expect(await recordOf("Ann")).toMatchObject({ userId: other.userId });
});
