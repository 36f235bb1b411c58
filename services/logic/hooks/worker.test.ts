import { expect, test } from "vitest";
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import { makeInboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeHookEntry } from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import type { DeadLetter } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { type Code, RpcError } from "../../svrkit/errors.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { HookWorker } from "./worker.ts";

const sent = makeInboxMessage({ conversationId: "g", sequence: 4, senderId: "ann" });
const value = { messageId: "m2", sequence: 2, senderId: "ann" };
const content = makeContent({ body: { case: "recall", value } });
const recall = makeInboxMessage({ conversationId: "g", sequence: 5, senderId: "ann", content });
const entry = makeHookEntry({ messages: [sent, recall] });

/** The edges of a worker whose server takes nothing; letters, and who is gone, are asked for in vain so often. */
function worker(code: Code, times: number) {
  const stopping = new AbortController();
  const done = { deliveries: 0, buried: [] as DeadLetter[], forgets: 0, misses: 0 };
  const vainly = () => {
    if (done.misses >= times) return;
    done.misses += 1;
    throw new RpcError(code, "no answer");
  };
  const made = new HookWorker({
    itemsOf: async ({ messages }) => messages.map(({ sequence }) => ({ sequence })),
    courier: {
      deliver: async (items) => {
        done.deliveries += 1;
        return items.map((_, at) => ({ at, why: "status 422" }));
      },
    },
    queue: { bury: async (letters) => void done.buried.push(...letters) },
    letters: {
      // biome-ignore lint/correctness/useYield: there are none
      all: async function* () {
        vainly();
      },
      forget: async () => {
        done.forgets += 1;
      },
    },
    gone: async () => {
      vainly();
      return [];
    },
    ...{ now: () => 7, log: silentLogger(), stopped: stopping.signal },
  });
  const step = () => made.step("events/1", [{ slot: 3, entry }]);
  return { step, done, stopping };
}

test("hooks: what cannot be buried or forgotten yet is not told again for that", async () => {
  const { step, done } = worker("UNAVAILABLE", 2);
  expect(await step()).toBe(3);
  expect(done).toMatchObject({ deliveries: 1, forgets: 1, misses: 2 });
  expect(done.buried.map(({ part }) => part)).toEqual([0, 1]);
});

test("hooks: the version before, which knows nothing of letters, holds nothing up", async () => {
  const { step, done } = worker("UNIMPLEMENTED", 99);
  expect(await step()).toBe(3);
  expect(done).toMatchObject({ deliveries: 1, forgets: 0, misses: 2 });
  expect(done.buried).toHaveLength(2);
});

test("hooks: the stop ends the waiting for who keeps letters", async () => {
  const { step, done, stopping } = worker("UNAVAILABLE", Number.POSITIVE_INFINITY);
  const stepping = expect(step()).rejects.toThrow("stopping");
  await expect.poll(() => done.misses).toBeGreaterThan(1);
  stopping.abort(new Error("stopping"));
  await stepping;
  expect(done).toMatchObject({ deliveries: 1, buried: [] });
});
