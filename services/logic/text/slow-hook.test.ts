/** An integrator's server that is slow is not taken for a platform that is. Time is the test's. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeSendRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  type CommitRequest,
  InboxData,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MayReplyRefusal } from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import type { RpcError } from "../../svrkit/errors.ts";
import { IdMaker } from "../../svrkit/ids.ts";
import { rest } from "../../svrkit/rest.ts";
import { newTicketKeys, TicketSigner } from "../../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { TextHandlers } from "./handlers.ts";

/** More than are taken of a slow platform, whatever its pace. */
const SENDS = 60;
const HOOK_MS = 900;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A platform that takes no time at all, behind an integrator's server that takes long. */
function sender(): () => Promise<string> {
  const keys = newTicketKeys();
  const nobody = { call: () => Promise.reject(new Error("not asked")) } as unknown as Callee;
  const contacts = { call: async () => ({ refusal: MayReplyRefusal.UNSPECIFIED }) };
  const inboxes = {
    call: async (method: { name: string }, { message }: CommitRequest) => {
      expect(method.name).toBe(InboxData.commit.name);
      return { message, existed: false, version: 1, alone: true };
    },
  };
  const handlers = new TextHandlers({
    tickets: new TicketVerifier({ k1: keys.publicKey }),
    ids: new IdMaker({ dc: 7, campus: "a", letter: "m", incarnation: 1 }),
    ...{ accounts: nobody, groups: nobody },
    ...{ contacts: contacts as unknown as Callee, inboxes: inboxes as unknown as Callee },
    carrier: {
      ...{ carry: async () => 1, number: async () => 1 },
      ...{ lastSlot: () => 0, hasNoRoom: () => false },
    },
    recalls: { messageFor: () => Promise.reject(new Error("not asked")) },
    openSends: { open: () => {}, close: () => {}, stop: () => {} },
    ...{ unfinishedMax: 10, groupBacklogMax: 10 },
    beforeSend: { refusal: () => rest(HOOK_MS).then(() => undefined) },
  });
  const expiresAtMs = Date.now() + 3_600_000;
  const who = { userId: "07ahk-ann", device: "phone", issuedAtMs: 1, expiresAtMs };
  const ticket = new TicketSigner("k1", keys.privateKey).sign(who);
  let sends = 0;
  return async () => {
    const clientMessageId = `k${sends++}`;
    const to = { case: "userId" as const, value: "07ahk-bob" };
    const times = { arrivedMs: monotonicMs(), deadlineMs: monotonicMs() + 5_000 };
    const about = { operationId: NO_BYTES, ticket, caller: "access", trace: NO_BYTES, priority: 0 };
    return handlers
      .send(makeSendRequest({ clientMessageId, text: "hello", to }), { ...times, ...about })
      .then(
        () => "taken",
        (error: RpcError) => `${error.code}: ${error.message}`,
      );
  };
}

test("sends: the time of an integrator's server is not counted in the pace", async () => {
  const send = sender();
  for (let round = 0; round < 4; round++) {
    const outcomes = Array.from({ length: SENDS }, send);
    await vi.advanceTimersByTimeAsync(HOOK_MS);
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["taken"]));
  }
});

test("sends: while all of them wait for an integrator's server, more are taken", async () => {
  const send = sender();
  const outcomes = Array.from({ length: SENDS }, send);
  for (let i = 0; i < 4; i++) {
    await vi.advanceTimersByTimeAsync(210);
    outcomes.push(send());
  }
  await vi.advanceTimersByTimeAsync(HOOK_MS);
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["taken"]));
});
