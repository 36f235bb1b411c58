/** Forged tickets by the thousand: what they cost is bounded, and nobody else is hurt. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeClientFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { NO_BYTES, toBytes } from "../svrkit/codec.ts";
import type { RpcError } from "../svrkit/errors.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { lengthPrefixed } from "../svrkit/transport/length-prefixed.ts";
import { Forgeries } from "./forgeries.ts";
import {
  FORGERIES_BURST,
  FORGERIES_PER_SECOND,
  SHARED_FORGERIES_BURST,
  SHARED_FORGERIES_PER_SECOND,
} from "./limits.ts";
import { exchange, RawSocket } from "./testing/raw-client.ts";

let platform: SmallPlatform;
const url = () => platform.endpoints[0]!.url;
const facts = () => {
  const issuedAtMs = Date.now();
  return { userId: "u-ann", device: "phone", issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
};
const forger = new TicketSigner("test", newTicketKeys().privateKey);

beforeAll(async () => {
  platform = await startSmallPlatform({ accessOptions: { userConnectionsMax: 1 } });
});
afterAll(() => platform.stop());

test("access: a connection that brings ticket after ticket that is not good ends", async () => {
  const socket = await RawSocket.open(url());
  for (let i = 0; i < 5; i++)
    expect((await socket.attach(forger.sign(facts()))).kind).toMatchObject({
      value: { code: "UNAUTHENTICATED" },
    });
  expect(await socket.closed).toBe(1002);
});

test("access: an Attach behind the forged ones for which a long poll ended takes nobody's place", async () => {
  const door = { url: url() };
  const opened = await exchange(door, { method: "POST", path: "/v1/poll" });
  const { session } = JSON.parse(opened.body.toString()) as { session: string };
  const good = platform.signer.sign(facts());
  const tickets = [...Array.from({ length: 5 }, () => forger.sign(facts())), good];
  const frames = tickets.map((ticket, i) => {
    const value = { ticket, snapshot: NO_BYTES, wantPush: false };
    return lengthPrefixed(
      toBytes(encodeClientFrame, { takesParts: false, id: i + 1, kind: { case: "attach", value } }),
    );
  });
  const body = Buffer.concat(frames);
  await exchange(door, { method: "POST", path: `/v1/poll/${session}/1`, body });
  const socket = await RawSocket.open(url());
  expect((await socket.attach(good)).kind?.case).toBe("attached");
  socket.close();
});

test("access: forged tickets are looked at up to a rate an address, and a shared one; who is known is served", () => {
  let nowMs = 0;
  const forgeries = new Forgeries(() => nowMs);
  const { publicKey, privateKey } = newTicketKeys();
  const tickets = new TicketVerifier({ test: publicKey });
  const bring = (from: string, ticket: Uint8Array) => {
    try {
      return tickets.verify(ticket, forgeries.limitOf(from)).userId;
    } catch (error) {
      return (error as RpcError).code;
    }
  };
  const forged = forger.sign(facts());
  const honest = new TicketSigner("test", privateKey);
  const known = honest.sign(facts());
  const fresh = (device: string) => honest.sign({ ...facts(), device });
  const flood = (count: number) => Array.from({ length: count }, () => bring("x", forged));
  for (let i = 0; i < FORGERIES_BURST; i++) expect(bring("x", honest.sign(facts()))).toBe("u-ann");
  expect(bring("x", known)).toBe("u-ann");
  expect(new Set(flood(FORGERIES_BURST))).toEqual(new Set(["UNAUTHENTICATED"]));
  // Who is behind the same address is heard, and costs nothing.
  for (let i = 0; i < 10; i++) expect(bring("x", fresh(`d${i}`))).toBe("u-ann");
  expect(new Set(flood(SHARED_FORGERIES_BURST))).toEqual(new Set(["UNAUTHENTICATED"]));
  expect(new Set(flood(10))).toEqual(new Set(["RESOURCE_EXHAUSTED"]));
  expect(bring("x", known)).toBe("u-ann");
  expect(bring("y", forged)).toBe("UNAUTHENTICATED");
  nowMs += 1_000;
  const rate = FORGERIES_PER_SECOND + SHARED_FORGERIES_PER_SECOND;
  const again = flood(2 * rate).filter((code) => code === "UNAUTHENTICATED");
  expect(again).toHaveLength(rate);
});
