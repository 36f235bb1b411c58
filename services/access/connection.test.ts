/** One connection on a carrier that keeps what it is given: times and tickets as the test says. */
import { expect, test } from "vitest";
import {
  type ClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  type ServerFrame,
} from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import { Client } from "../svrkit/client.ts";
import { fromBytes, NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { keptLog } from "../svrkit/testing/kept-log.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { SnapshotSealer } from "../svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { ClientConnection } from "./connection.ts";
import { Forgeries } from "./forgeries.ts";
import { Forwarder } from "./forwarder.ts";
import { BAD_FRAMES_MAX, PART_BYTES } from "./limits.ts";
import { CLIENT_METHODS } from "./methods.ts";

const ANN = { userId: "u-ann", device: "phone" };
const FROM = "192.0.2.1";

/** Its requests are answered when `answer` is called. */
function open() {
  let nowMs = 0;
  const now = () => nowMs;
  const keys = newTicketKeys();
  const tickets = new TicketVerifier({ test: keys.publicKey }, { now });
  const answer = Promise.withResolvers<Uint8Array>();
  const client = new Client({ process: "test", campus: "a" });
  const server = new Server({ process: "test", campus: "a" }, silentLogger());
  const admitted: number[] = [];
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    own: new Map([[CLIENT_METHODS.get("Text/Send")!.hash, () => answer.promise]]),
    rates: new TokenBuckets({ perSecond: 1, burst: 9 }),
    sampler: new Sampler(0),
    server: {
      admits: (priority, ...asked) => {
        admitted.push(priority);
        return server.admits(priority, ...asked);
      },
      ended: (...told) => server.ended(...told),
    },
    ...{ tickets, now, arrived: now, log: keptLog().log },
  });
  client.stop();
  const forgeries = new Forgeries(now);
  const snapshots = new SnapshotSealer(Buffer.alloc(32, 7));
  const sent: ServerFrame[] = [];
  const closes: number[] = [];
  const carrier = {
    ...{ isOpen: true, bufferedBytes: 0 },
    send: (frame: Buffer) => void sent.push(fromBytes(decodeServerFrame, frame)),
    close: (code: number) => void closes.push(code),
    ping: () => {},
    terminate: () => {},
  };
  const nothing = () => {};
  const parts = {
    ...{ forwarder, tickets, forgeries, snapshots, now },
    ...{ bind: nothing, attached: nothing, waiting: nothing, closed: nothing },
  };
  const connection = new ClientConnection(1, { carrier, from: FROM }, parts);
  const signer = new TicketSigner("test", keys.privateKey);
  return {
    ...{ connection, forgeries, snapshots, sent, closes, answer, admitted },
    ask: (kind: ClientFrame["kind"], takesParts = false) =>
      connection.received(Buffer.from(toBytes(encodeClientFrame, { takesParts, id: 7, kind }))),
    ticket: (expiresAtMs: number) => signer.sign({ ...ANN, issuedAtMs: 0, expiresAtMs }),
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

test.each([
  ["rows", { version: 6, follows: 5, rows: NO_BYTES }],
  ["a hint", { version: 9, follows: 0, rows: undefined }],
])(
  "connection: %s kept back while it was ending: its device is told with its next ticket",
  async (_, offer) => {
    const { connection, snapshots, sent, answer, ask, ticket, pass } = open();
    const versions = { ...snapshots.open(ANN, NO_BYTES), messagesVersion: 5 };
    const attach = { snapshot: snapshots.seal(ANN, versions), wantPush: true };
    ask({ case: "attach", value: { ...attach, ticket: ticket(1_000) } });
    ask({
      case: "request",
      value: { method: "Text/Send", body: NO_BYTES, trace: false, late: false },
    });
    connection.requireTicketAt(1_000);
    connection.offer(offer);
    pass(500);
    connection.due();
    ask({ case: "attach", value: { ...attach, ticket: ticket(60_000) } });
    const told = sent.map(({ kind }) => kind?.case);
    expect(told).toEqual(["attached", "attached", "push"]);
    expect(sent[2]!.kind?.value).toMatchObject({ version: offer.version, otherParts: true });
    answer.resolve(NO_BYTES);
    await expect.poll(() => connection.inFlight).toBe(0);
  },
);

test("connection: an Attach is never shed, and counted: what this process works for it is no request's", () => {
  const { admitted, sent, ask, ticket } = open();
  const attach = { snapshot: NO_BYTES, wantPush: false, ticket: ticket(60_000) };
  ask({ case: "attach", value: attach });
  ask({ case: "attach", value: attach });
  expect(sent.map(({ kind }) => kind?.case)).toEqual(["attached", "attached"]);
  expect(admitted).toEqual([NEVER_SHED, NEVER_SHED]);
});

test("connection: who is not looked at for others' forgeries is refused, and stays as often as it asks", () => {
  const { forgeries, sent, closes, ask, ticket } = open();
  const limit = forgeries.limitOf(FROM);
  while (limit.take());
  for (let i = 0; i < BAD_FRAMES_MAX; i++)
    ask({
      case: "attach",
      value: { ticket: ticket(60_000), snapshot: NO_BYTES, wantPush: false },
    });
  expect(sent).toHaveLength(BAD_FRAMES_MAX);
  for (const { kind } of sent)
    expect(kind?.value).toMatchObject({ code: "RESOURCE_EXHAUSTED", retryable: true });
  expect(closes).toEqual([]);
});

test.each([
  ["goes in parts to who takes them", true, ["part", "part"]],
  ["goes whole to others", false, ["body"]],
] as const)("connection: a frame that is larger than a part %s", async (_, takesParts, kinds) => {
  const { connection, sent, answer, ask, ticket } = open();
  ask({
    case: "attach",
    value: { ticket: ticket(60_000), snapshot: NO_BYTES, wantPush: false },
  });
  const value = { method: "Text/Send", body: NO_BYTES, trace: false, late: false };
  ask({ case: "request", value }, takesParts);
  answer.resolve(new Uint8Array(PART_BYTES));
  await expect.poll(() => connection.inFlight).toBe(0);
  const frames = sent.slice(1);
  expect(frames.map(({ kind }) => kind?.case)).toEqual(kinds);
  const parts = frames.flatMap(({ kind }) => (kind?.case === "part" ? [kind.value] : []));
  for (const { bytes } of parts) expect(bytes.length).toBeLessThanOrEqual(PART_BYTES);
  if (takesParts) {
    const whole = fromBytes(decodeServerFrame, Buffer.concat(parts.map(({ bytes }) => bytes)));
    expect(whole.kind).toMatchObject({ case: "body", value: { length: PART_BYTES } });
  }
});
