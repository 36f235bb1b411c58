/** Tickets and snapshots: whatever is not byte for byte one of ours is refused, in words for the client. */
import assert from "node:assert/strict";
import { RpcError } from "../errors.ts";
import type { Random } from "../seeded-random.ts";
import { newTicketKeys, TicketSigner } from "../ticket/sign.ts";
import { SnapshotSealer } from "../ticket/snapshot.ts";
import { TicketVerifier } from "../ticket/verify.ts";
import { mutated, randomBytes } from "./mutate.ts";

const keys = newTicketKeys();
const signer = new TicketSigner("k1", keys.privateKey);
const verifier = new TicketVerifier(
  { k1: keys.publicKey },
  { ready: 16, slots: 64, now: () => 2_000 },
);
const sealer = new SnapshotSealer(Buffer.alloc(32, 7));

function refusedWith(code: string, act: () => unknown): void {
  try {
    act();
  } catch (error) {
    assert(error instanceof RpcError && error.code === code, `refused with ${String(error)}`);
    return;
  }
  assert.fail("a forged one was taken");
}

export function fuzzTickets(random: Random): void {
  const userId = `00au1-${random.index(50)}`;
  const facts = {
    userId,
    device: "phone",
    issuedAtMs: 1_000,
    expiresAtMs: 3_000 + random.index(9),
  };
  const ticket = signer.sign(facts);
  const { userId: known } = verifier.verify(ticket);
  assert.equal(known, userId);
  const forged = random.chance(0.9)
    ? mutated(random, ticket)
    : randomBytes(random, random.index(600));
  if (!forged.equals(ticket)) refusedWith("UNAUTHENTICATED", () => verifier.verify(forged));
  // What was refused has not hurt what is remembered of the good one.
  assert.equal(verifier.verify(ticket).userId, userId);
}

export function fuzzSnapshots(random: Random): void {
  const who = { userId: `u${random.index(9)}`, device: "phone" };
  const versions = {
    accountVersion: random.index(1_000),
    contactsVersion: random.index(1_000),
    messagesVersion: random.index(2 ** 40),
    rebuiltVersion: random.index(3),
  };
  const sealed = sealer.seal(who, versions);
  assert.deepEqual({ ...sealer.open(who, sealed) }, versions);
  const forged = mutated(random, sealed);
  // Nothing at all is what a device has that has nothing.
  if (forged.length === 0 || forged.equals(sealed)) return;
  refusedWith("INVALID_ARGUMENT", () => sealer.open(who, forged));
}
