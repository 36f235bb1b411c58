/** What a caller of the store hears when time runs out between a batch and the try that follows it. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  type BatchOutcome,
  Keyspace,
  Kv,
  Level,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { Client } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { codes, RpcError } from "../svrkit/errors.ts";
import { silentLogger } from "../svrkit/log.ts";
import { rest } from "../svrkit/rest.ts";
import { Server } from "../svrkit/server.ts";
import { GroupClient } from "./group-client.ts";

const REFUSED: BatchOutcome = {
  outcome: {
    case: "failure",
    value: { code: codes.STORAGE_REFUSED.number, message: "the disk takes no writes" },
  },
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("group client: what the batch has said is not forgotten over a try that had too little time", async () => {
  const server = new Server({ process: "a/kvsvr", campus: "a" }, silentLogger());
  server.add(Kv.batch, async ({ items }, { deadlineMs }) => {
    await rest(deadlineMs - monotonicMs() + 1);
    return { outcomes: items.map(() => REFUSED), rest: 0 };
  });
  // For it only that is left which the batch kept for its answer's way back.
  server.add(Kv.get, async (_, { deadlineMs }) => {
    await rest(deadlineMs - monotonicMs() + 1);
    throw new RpcError("DEADLINE_EXCEEDED", "the replicas did not agree in time");
  });
  const client = new Client({ process: "test", campus: "a" });
  const here = { campus: "a", host: "127.0.0.1", port: 1 };
  const callee = client.callee("kvsvr", [here, here, here], { caller: "test", local: server });
  const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from("ann") };
  const call = { deadlineMs: monotonicMs() + 1_000, operationId: NO_BYTES };
  const asked = new GroupClient(callee).get({ key, level: Level.STRONG }, call);
  const heard = expect(asked).rejects.toMatchObject({
    code: "STORAGE_REFUSED",
    message: expect.stringContaining("the disk takes no writes"),
  });
  await Promise.all([heard, vi.advanceTimersByTimeAsync(2_000)]);
  vi.useRealTimers();
  client.stop();
  await server.stop();
});
