import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newTicketKeys } from "../../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { signingKey } from "./signing-key.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-signing-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const FACTS = { userId: "u-1", device: "phone", issuedAtMs: 1, expiresAtMs: 2_000_000_000_000 };

function attempt(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

test("signing key: a later one that is put beside it signs, without a restart; a damaged one does not", async () => {
  const [first, second] = [newTicketKeys(), newTicketKeys()];
  writeFileSync(join(dir, "k1.pem"), first.privateKey);
  const places = { keyId: "k1", privateKeyFile: join(dir, "k1.pem"), privateKeysDir: dir };
  const signer = signingKey(places);
  signer.watch(5);
  try {
    const pairs = { k1: first, k2: second };
    /** Whose public half takes its tickets. */
    const keyOf = () => {
      const ticket = signer.value.sign(FACTS);
      const takes = ([id, { publicKey }]: [string, typeof first]) => {
        const verifier = new TicketVerifier({ [id]: publicKey });
        return attempt(() => verifier.verify(ticket).userId === FACTS.userId);
      };
      return Object.entries(pairs).find(takes)?.[0];
    };
    expect(keyOf()).toBe("k1");
    writeFileSync(join(dir, "k2.pem"), "no key");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(keyOf()).toBe("k1");
    writeFileSync(join(dir, "k2.pem"), second.privateKey);
    await vi.waitFor(() => expect(keyOf()).toBe("k2"));
  } finally {
    signer.stop();
  }
});

test.each([1, 2, 3, 4, 5])(
  "signing key: one that comes while it is read is not signed with under another's name (look %d)",
  (look) => {
    const pairs = { k1: newTicketKeys(), k2: newTicketKeys() };
    writeFileSync(join(dir, "k1.pem"), pairs.k1.privateKey);
    let looks = 0;
    const signer = signingKey({
      ...{ keyId: "k1", privateKeyFile: join(dir, "k1.pem") },
      get privateKeysDir() {
        looks += 1;
        if (looks === look) writeFileSync(join(dir, "k2.pem"), pairs.k2.privateKey);
        return dir;
      },
    });
    const { k1, k2 } = pairs;
    const verifier = new TicketVerifier({ k1: k1.publicKey, k2: k2.publicKey });
    expect(verifier.verify(signer.value.sign(FACTS)).userId).toBe(FACTS.userId);
  },
);
