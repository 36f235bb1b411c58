import { expect, test } from "vitest";
import { makeSnapshotPayload } from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { RememberedTickets } from "./remembered.ts";
import { Revocations } from "./revocations.ts";
import { newTicketKeys, TicketSigner } from "./sign.ts";
import { SnapshotSealer } from "./snapshot.ts";
import { TicketVerifier } from "./verify.ts";

const keys = newTicketKeys();
const signer = new TicketSigner("k1", keys.privateKey);
const facts = { userId: "00au1-1", device: "phone", issuedAtMs: 1_000, expiresAtMs: 5_000 };

function verifier(nowMs: number): TicketVerifier {
  return new TicketVerifier({ k1: keys.publicKey }, { now: () => nowMs, ready: 2 });
}

test("ticket: a signed one is verified, again from memory", () => {
  const v = verifier(2_000);
  const ticket = signer.sign(facts);
  expect(v.verify(ticket)).toMatchObject(facts);
  expect(v.verify(ticket)).toMatchObject(facts);
});

test("ticket: missing, expired, forged and foreign ones are refused, remembered or not", () => {
  const ticket = signer.sign(facts);
  const unauthenticated = expect.objectContaining({ code: "UNAUTHENTICATED" });
  expect(() => verifier(2_000).verify(new Uint8Array(0))).toThrow(unauthenticated);
  let nowMs = 2_000;
  const v = new TicketVerifier({ k1: keys.publicKey }, { now: () => nowMs });
  v.verify(ticket);
  nowMs = 5_000;
  expect(() => v.verify(ticket)).toThrow(unauthenticated);
  const other = new TicketSigner("k1", newTicketKeys().privateKey).sign(facts);
  expect(() => verifier(2_000).verify(other)).toThrow(unauthenticated);
  for (let i = 0; i < ticket.length; i++) {
    const forged = Buffer.from(ticket);
    forged[i]! ^= 1;
    expect(() => verifier(2_000).verify(forged)).toThrow(unauthenticated);
  }
});

test("ticket: signatures of strangers are checked within a limit, and good ones cost them nothing", () => {
  const v = verifier(2_000);
  let left = 2;
  const limit = { take: () => left-- > 0, giveBack: () => (left += 1) };
  const forgery = new TicketSigner("k1", newTicketKeys().privateKey).sign(facts);
  const good = ["d0", "d1", "d2"].map((device) => signer.sign({ ...facts, device }));
  for (const ticket of good) v.verify(ticket, limit);
  expect(left).toBe(2);
  for (let i = 0; i < 2; i++) expect(() => v.verify(forgery, limit)).toThrow(/not one of ours/);
  const refused = expect.objectContaining({ code: "RESOURCE_EXHAUSTED", retryable: true });
  expect(() => v.verify(forgery, limit)).toThrow(refused);
  expect(() => v.verify(signer.sign({ ...facts, device: "d3" }), limit)).toThrow(refused);
  // What is known to be good needs no check.
  expect(v.verify(good[2]!, limit)).toMatchObject({ ...facts, device: "d2" });
});

test("ticket: what was verified is remembered, the oldest are forgotten", () => {
  const v = verifier(2_000); // remembers two
  const tickets = ["d0", "d1", "d2"].map((device) => signer.sign({ ...facts, device }));
  const [first, second, third] = tickets.map((ticket) => v.verify(ticket));
  expect(v.verify(tickets[2]!)).toBe(third);
  expect(v.verify(tickets[1]!)).toBe(second);
  const again = v.verify(tickets[0]!);
  expect(again).toEqual(first);
  expect(again).not.toBe(first);
});

test("ticket: a remembered one is known by all of its bytes", () => {
  const v = verifier(2_000);
  const ticket = signer.sign(facts);
  v.verify(ticket);
  for (let i = 0; i < ticket.length; i++) {
    const forged = Buffer.from(ticket);
    forged[i]! ^= 1;
    expect(() => v.verify(forged)).toThrow(/not one of ours/);
  }
});

test("ticket: each key verifies what names it, and nothing else; long ones are not looked at", () => {
  const other = newTicketKeys();
  const v = new TicketVerifier({ k1: keys.publicKey, k2: other.publicKey }, { now: () => 2_000 });
  expect(v.verify(new TicketSigner("k2", other.privateKey).sign(facts)).userId).toBe("00au1-1");
  const mixed = new TicketSigner("k1", other.privateKey).sign(facts);
  expect(() => v.verify(mixed)).toThrow(/not one of ours/);
  expect(() => v.verify(signer.sign({ ...facts, device: "d".repeat(500) }))).toThrow(/not one/);
});

test("ticket: of devices that were logged out, and of all of a user, those from before are refused", () => {
  const revocations = new Revocations(() => 2_000);
  const v = new TicketVerifier({ k1: keys.publicKey }, { now: () => 2_000, revocations });
  const ticketAt = (issuedAtMs: number, device = "phone") =>
    v.verify(signer.sign({ ...facts, device, issuedAtMs }));
  expect(() => ticketAt(1_000)).toThrow(expect.objectContaining({ code: "UNAVAILABLE" }));
  revocations.becomeKnown();
  ticketAt(1_000);
  const out = { userId: "00au1-1", untilMs: 9_000, reason: "lost" };
  revocations.add({ ...out, device: "phone", issuedBeforeMs: 1_001 });
  expect(() => ticketAt(1_000)).toThrow(/logged out \(lost\)/);
  ticketAt(1_001);
  ticketAt(1_000, "desk");
  revocations.add({ ...out, device: "", issuedBeforeMs: 1_500 });
  for (const device of ["phone", "desk"])
    expect(() => ticketAt(1_499, device)).toThrow(/logged out/);
  ticketAt(1_500);
  revocations.add({ ...out, device: "phone", issuedBeforeMs: 900 }); // an older one changes nothing
  expect(() => ticketAt(1_000)).toThrow(/logged out/);
});

test("ticket: keys change while the process runs: the next one first, then the old one goes", () => {
  const next = newTicketKeys();
  const v = verifier(2_000);
  const old = signer.sign(facts);
  const young = new TicketSigner("k2", next.privateKey).sign(facts);
  v.verify(old);
  expect(() => v.verify(young)).toThrow(/not one of ours/);
  v.setKeys({ k1: keys.publicKey, k2: next.publicKey });
  expect([v.verify(old), v.verify(young)]).toMatchObject([facts, facts]);
  expect(() => v.setKeys({ k2: "no key" })).toThrow();
  expect([v.verify(old), v.verify(young)]).toMatchObject([facts, facts]);
  v.setKeys({ k2: next.publicKey });
  expect(v.verify(young)).toMatchObject(facts);
  expect(() => v.verify(old)).toThrow(/not one of ours/);
});

test("ticket: remembered ones are few as facts and many as bytes, and never another one", () => {
  const remembered = new RememberedTickets<number>({ ready: 100, slots: 4_096 });
  const tickets = Array.from({ length: 1_000 }, (_, i) =>
    signer.sign({ ...facts, device: `d${i}` }),
  );
  for (const [i, ticket] of tickets.entries()) remembered.add(ticket, i);
  const decoded: number[] = [];
  const decode = (ticket: Uint8Array) => {
    decoded.push(tickets.findIndex((other) => other.equals(ticket)));
    return decoded.at(-1)!;
  };
  const find = (ticket: Uint8Array) => remembered.find(ticket, decode);
  const found = tickets.map(find);
  // Where too many want the same slots, some go.
  expect(found.filter((facts, i) => facts === i).length).toBeGreaterThan(990);
  expect(found.every((facts, i) => facts === undefined || facts === i)).toBe(true);
  expect(decoded.length).toBeGreaterThan(800);
  expect(decoded.length).toBeLessThanOrEqual(970);
  for (let i = 0; i < tickets[0]!.length; i++) {
    const forged = Buffer.from(tickets[999]!);
    forged[i]! ^= 1;
    expect(find(forged)).toBeUndefined();
  }
  expect(find(tickets[999]!.subarray(0, 80))).toBeUndefined();
  remembered.clear();
  expect(tickets.map(find).every((facts) => facts === undefined)).toBe(true);
});

test("ticket: with more tickets than places the oldest go, and none is taken for another", () => {
  const remembered = new RememberedTickets<number>({ ready: 8, slots: 64 });
  const tickets = Array.from({ length: 300 }, (_, i) =>
    signer.sign({ ...facts, device: "d".repeat(i % 40) + i }),
  );
  const read = (ticket: Uint8Array) => tickets.findIndex((other) => other.equals(ticket));
  const known = (upTo: number) =>
    tickets.flatMap((ticket, i) => {
      const found = remembered.find(ticket, read);
      expect([undefined, i]).toContain(found);
      expect(found === undefined || i < upTo).toBe(true);
      return found === undefined ? [] : [found];
    });
  for (const [i, ticket] of tickets.entries()) {
    remembered.add(ticket, i);
    if (i % 37 !== 0) continue;
    const found = known(i + 1);
    expect(found).toContain(i);
    // Places are taken in turn; where names crowd, some go before their turn: a sixth of 64 when all are taken.
    expect(found[0]).toBeGreaterThan(i - 64);
    expect(found.length).toBeGreaterThan(0.6 * Math.min(i, 64));
  }
  remembered.clear();
  expect(known(0)).toEqual([]);
  remembered.add(tickets[7]!, 7);
  expect(known(8)).toEqual([7]);
});

test("M5: a snapshot opens for its user and device only", () => {
  const sealer = new SnapshotSealer(Buffer.alloc(32, 7));
  const versions = makeSnapshotPayload({
    accountVersion: 1,
    contactsVersion: 2,
    messagesVersion: 30_000,
  });
  const who = { userId: "u1", device: "phone" };
  const snapshot = sealer.seal(who, versions);
  expect(snapshot.length).toBeLessThanOrEqual(64);
  expect(sealer.open(who, snapshot)).toEqual(versions);
  expect(sealer.open(who, new Uint8Array(0)).messagesVersion).toBe(0);
  const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
  expect(() => sealer.open({ userId: "u2", device: "phone" }, snapshot)).toThrow(refused);
  expect(() => sealer.open({ userId: "u1", device: "tablet" }, snapshot)).toThrow(refused);
  for (let i = 0; i < snapshot.length; i++) {
    const forged = Buffer.from(snapshot);
    forged[i]! ^= 1;
    expect(() => sealer.open(who, forged)).toThrow(refused);
  }
  expect(() => sealer.open(who, Buffer.alloc(1000))).toThrow(refused);
});

test("M5: a snapshot is bound to the secret, to where the user's name ends, and short", () => {
  const sealer = new SnapshotSealer(Buffer.alloc(32, 7));
  const versions = makeSnapshotPayload({
    accountVersion: 1,
    contactsVersion: 2,
    messagesVersion: 3,
  });
  const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
  const who = { userId: "u1", device: "2phone" };
  const snapshot = sealer.seal(who, versions);
  expect(() => new SnapshotSealer(Buffer.alloc(32, 8)).open(who, snapshot)).toThrow(refused);
  expect(() => sealer.open({ userId: "u12", device: "phone" }, snapshot)).toThrow(refused);
  const largest = Number.MAX_SAFE_INTEGER;
  const long = {
    ...{ accountVersion: largest, contactsVersion: largest, messagesVersion: largest },
    rebuiltVersion: largest,
  };
  expect(sealer.open(who, sealer.seal(who, long))).toEqual(long);
});
