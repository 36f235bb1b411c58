/** Forged tickets by the thousand: what they cost is bounded, and nobody else is hurt. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import type { RpcError } from "../svrkit/errors.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Forgeries } from "./forgeries.ts";
import { FORGERIES_BURST, FORGERIES_PER_SECOND } from "./limits.ts";
import { RawSocket } from "./testing/raw-client.ts";

let platform: SmallPlatform;
const url = () => platform.endpoints[0]!.url;
const facts = () => {
  const issuedAtMs = Date.now();
  return { userId: "u-ann", device: "phone", issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
};
const forger = new TicketSigner("test", newTicketKeys().privateKey);

beforeAll(async () => {
  platform = await startSmallPlatform();
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

test("access: forged tickets of one address are looked at up to a rate; who is known is served", () => {
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
  const flood = (count: number) => Array.from({ length: count }, () => bring("x", forged));
  for (let i = 0; i < FORGERIES_BURST; i++) expect(bring("x", honest.sign(facts()))).toBe("u-ann");
  expect(bring("x", known)).toBe("u-ann");
  expect(new Set(flood(FORGERIES_BURST))).toEqual(new Set(["UNAUTHENTICATED"]));
  expect(new Set(flood(10))).toEqual(new Set(["RESOURCE_EXHAUSTED"]));
  expect(bring("x", known)).toBe("u-ann");
  expect(bring("y", forged)).toBe("UNAUTHENTICATED");
  nowMs += 1_000;
  const again = flood(2 * FORGERIES_PER_SECOND).filter((code) => code === "UNAUTHENTICATED");
  expect(again).toHaveLength(FORGERIES_PER_SECOND);
});
