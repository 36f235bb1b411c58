/** What becomes of a deletion whose answer is lost. */
import { expect, test } from "vitest";
import { ACCOUNT_DELETED } from "../services/svrkit/errors.ts";
import { Revocations } from "../services/svrkit/ticket/revocations.ts";
import { newTicketKeys, TicketSigner } from "../services/svrkit/ticket/sign.ts";
import { TicketVerifier } from "../services/svrkit/ticket/verify.ts";
import { OwnAccount } from "./account.ts";
import type { Requester } from "./requester.ts";
import { MemoryStore } from "./store.ts";

/** An account whose every request is met with what a ticket gets that was ended for this reason. */
function endedAccount(reason: string): OwnAccount {
  const keys = newTicketKeys();
  const revocations = new Revocations();
  const nowMs = Date.now();
  const times = { issuedBeforeMs: nowMs, untilMs: nowMs + 60_000 };
  revocations.add({ userId: "ann", device: "", ...times, reason });
  revocations.becomeKnown();
  const tickets = new TicketVerifier({ k1: keys.publicKey }, { revocations });
  const who = { userId: "ann", device: "phone", issuedAtMs: 1, expiresAtMs: nowMs + 60_000 };
  const ticket = new TicketSigner("k1", keys.privateKey).sign(who);
  const request: Requester["request"] = async () => tickets.verify(ticket) as never;
  return new OwnAccount({ request }, new MemoryStore());
}

test("account: who hears no answer to its deletion, and that it is deleted, has deleted it", async () => {
  await expect(endedAccount(ACCOUNT_DELETED).delete("a password")).resolves.toBeUndefined();
});

test("account: who was logged out for another reason has not", async () => {
  const refused = { code: "UNAUTHENTICATED" };
  const ended = endedAccount("it was logged out by desk");
  await expect(ended.delete("a password")).rejects.toMatchObject(refused);
  await expect(endedAccount(ACCOUNT_DELETED).logOut()).rejects.toMatchObject(refused);
});
