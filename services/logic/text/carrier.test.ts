/** What the sender hears of an inbox that could not be reached in time. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  DeliveryOutcomeKind,
  InboxData,
  makeCommittedMessage,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { Client } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { type Code, codes } from "../../svrkit/errors.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { Carrier } from "./carrier.ts";

const cleanUps: (() => unknown)[] = [];
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A carrier whose deliveries fail for these reasons in turn, the last of them again and again. */
function carrierThatHears(reasons: readonly [Code | undefined, string][]): Carrier {
  const server = new Server({ process: "a/data", campus: "a" }, silentLogger());
  const client = new Client({ process: "test", campus: "a" });
  cleanUps.push(
    () => server.stop(),
    () => client.stop(),
  );
  let asked = 0;
  server.add(MessageData.append, () => ({ sequence: 1 }));
  server.add(InboxData.deliver, () => {
    const [code, message] = reasons[Math.min(asked++, reasons.length - 1)]!;
    const number = code === undefined ? 0 : codes[code].number;
    const failed = { kind: DeliveryOutcomeKind.FAILED, message, code: number };
    return { outcomes: [{ ...failed, version: 0, alone: false, mark: 0 }] };
  });
  const callee = (service: string) =>
    client.callee(service, [{ campus: "a", host: "127.0.0.1", port: 1 }], {
      ...{ caller: "text", local: server },
    });
  return new Carrier({
    inboxes: callee("inbox-data"),
    messages: callee("message-data"),
    streams: { append: () => Promise.reject(new Error("no group is written to")) },
    notifier: { notify: () => {} },
    hooks: { append: () => Promise.resolve() },
    marksRememberedMax: 10,
  });
}

const DISK = "the disk takes no writes";
const NO_TIME = "no replica of kvsvr could do it in time (its deadline had passed)";

test.each<[string, [Code | undefined, string][], Code, string]>([
  ["a full disk", [["STORAGE_REFUSED", DISK]], "STORAGE_REFUSED", DISK],
  [
    "a full disk, and then no time",
    [
      ["STORAGE_REFUSED", DISK],
      ["UNAVAILABLE", NO_TIME],
      ["DEADLINE_EXCEEDED", "no answer in time"],
    ],
    "STORAGE_REFUSED",
    DISK,
  ],
  ["nobody there", [["UNAVAILABLE", NO_TIME]], "UNAVAILABLE", NO_TIME],
  ["what would say that nothing was done", [["OVERLOADED", "busy"]], "UNAVAILABLE", "busy"],
  ["a version that tells no code", [[undefined, "old"]], "UNAVAILABLE", "old"],
])("carrier: the recipient's inbox: %s", async (_what, reasons, code, told) => {
  const message = makeCommittedMessage({
    ...{ messageId: "m1", conversationId: "c1", senderId: "ann", recipientId: "bob" },
  });
  const options = { ticket: NO_BYTES, deadlineMs: monotonicMs() + 1_000 };
  const carried = carrierThatHears(reasons).carry(message, undefined, options);
  const refused = { code, message: expect.stringContaining(told) };
  const heard = expect(carried).rejects.toMatchObject(refused);
  await vi.advanceTimersByTimeAsync(1_000);
  await heard;
});
