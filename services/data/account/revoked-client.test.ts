import { afterEach, expect, test } from "vitest";
import { Kv, makeScanChangesReply } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import { Client } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { readTrouble } from "../../svrkit/monitors/trouble.ts";
import { Server } from "../../svrkit/server.ts";
import { Revocations } from "../../svrkit/ticket/revocations.ts";
import { RevocationFollower } from "./revoked-client.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

test("log-outs: people are told when they have not been heard of for a while, and what that means", async () => {
  let isWell = false;
  const server = new Server({ process: "a/kvsvr", campus: "a" }, silentLogger());
  server.add(Kv.scanChanges, () => {
    if (!isWell) throw new RpcError("PERMISSION_DENIED", "not for you");
    return makeScanChangesReply({});
  });
  const address = {
    campus: "a",
    host: "127.0.0.1",
    port: await server.listen({ host: "127.0.0.1", port: 0 }),
  };
  const client = new Client({ process: "test", campus: "a" });
  const callee = client.callee("kvsvr", [address, address, address], { caller: "test" });
  const revocations = new Revocations();
  const follower = new RevocationFollower(new KvClient(callee), revocations, 100);
  cleanUps.push(
    () => follower.stop(),
    () => client.stop(),
    () => server.stop(),
  );
  follower.start();
  await expect
    .poll(readTrouble)
    .toMatch(/^tickets: the table of log-outs .*no ticket is believed \(not for you\)/);
  isWell = true;
  await expect.poll(readTrouble).toBe("");
  expect(revocations.isKnown).toBe(true);
  isWell = false;
  await expect.poll(readTrouble, { timeout: 5_000 }).toMatch(/logged out since are still believed/);
});
