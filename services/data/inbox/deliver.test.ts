import { expect, test } from "vitest";
import { makeInboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { Delivery } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { codes, RpcError } from "../../svrkit/errors.ts";
import { deliver, outcomeOf, planChanges } from "./deliver.ts";
import { Gate } from "./gate.ts";

const target = (userId: string, fromSequence: number, throughSequence = 2) => ({
  ...{ userId, fromSequence, throughSequence, allowSkip: false },
});

function deliveryTo(...targets: ReturnType<typeof target>[]): Delivery {
  const messages = [1, 2].map((sequence) =>
    makeInboxMessage({
      ...{ messageId: `m${sequence}`, conversationId: "g1", sequence, senderId: "ann" },
      ...{ text: "hello", acceptedAtMs: 5 },
    }),
  );
  return { conversationId: "g1", messages, targets };
}

test("deliver: targets of the same range share one change", () => {
  const changes = planChanges([deliveryTo(target("ann", 0), target("bob", 1), target("cid", 0))]);
  const [ann, bob, cid] = changes.map((change) => change.request);
  expect(ann!.change).toBe(cid!.change);
  expect(bob!.change!.operations).toHaveLength(1);
  expect(changes.map((c) => Buffer.from(c.request.key!.key).toString())).toEqual([
    "ann",
    "bob",
    "cid",
  ]);
});

test.each([target("", 0), target("ann", 2), target("ann", 3)])(
  "deliver: a target that makes no sense is refused (%o)",
  (wrong) => {
    expect(() => planChanges([deliveryTo(wrong)])).toThrow(RpcError);
  },
);

test("deliver: outcomes", () => {
  const reply = { applied: true, version: 9, alone: true, results: [], failedGuard: undefined };
  const seen = [
    outcomeOf(reply),
    outcomeOf({ ...reply, applied: false, alone: false, failedGuard: { index: 0, actual: 4 } }),
    outcomeOf(new RpcError("NO_QUORUM", "nobody there")),
  ].map((o) => `${o.kind} v${o.version} ${o.alone} mark ${o.mark} ${o.code} ${o.message}`.trim());
  expect(seen).toEqual([
    "1 v9 true mark 0 0",
    "2 v9 false mark 4 0",
    "3 v0 false mark 0 104 nobody there",
  ]);
});

test("deliver: what waited for its turn until its time was over is not asked of the store", async () => {
  const gate = new Gate({ min: 1, max: 1 });
  const held = Promise.withResolvers<void>();
  const before = gate.run(1, () => held.promise);
  let asked = 0;
  const kv = {
    change: async () => {
      asked += 1;
      return { version: 1, alone: true, applied: true, failedGuard: undefined, results: [] };
    },
  } as unknown as KvClient;
  const call = { deadlineMs: monotonicMs() + 20 };
  const outcomes = deliver(kv, [deliveryTo(target("ann", 0), target("bob", 0))], gate, call);
  setTimeout(() => held.resolve(), 40);
  await before;
  const { number } = codes.DEADLINE_EXCEEDED;
  expect((await outcomes).map(({ code }) => code)).toEqual([number, number]);
  expect(asked).toBe(0);
});
