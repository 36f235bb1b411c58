/** Which devices are counted by themselves: those with a ticket of the present password. */
import { expect, test } from "vitest";
import { makeAccountRecord } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { Guesses } from "./guesses.ts";

const known = {
  ...{ userId: "u1", device: "phone", keyId: "k", issuedAtMs: 1_000, expiresAtMs: 2_000 },
};
const guess = { name: "Ann", password: "wrong", ticket: Buffer.from("ticket") };

/** Whether the device may still guess when strangers may not. */
async function isCountedApart(passwordSetAtMs: number, isGood: boolean): Promise<boolean> {
  const verify = () => {
    if (isGood) return known;
    throw new RpcError("UNAUTHENTICATED", "this device was logged out");
  };
  const onceOf = (ticket: Uint8Array) => (ticket.length === 0 ? undefined : known);
  const guesses = new Guesses({ onceOf, verify });
  const record = makeAccountRecord({ userId: "u1", name: "Ann", passwordSetAtMs });
  const asked = (ticket: Uint8Array) =>
    guesses.count({ ...guess, ticket }, record, () => Promise.resolve(false));
  const stranger = Buffer.alloc(0);
  for (let taken = 0; taken < 20; taken++) await asked(stranger);
  await expect(asked(stranger)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  return asked(guess.ticket).then(
    () => true,
    () => false,
  );
}

test.each([
  ["issued with the present password, and good", 900, true, true],
  ["issued with the present password, and ended since", 900, false, true],
  ["issued with an earlier password", 1_100, true, false],
  ["of a password whose time is not noted, and good", 0, true, true],
  ["of a password whose time is not noted, and ended", 0, false, false],
])("guesses: a ticket %s", async (_, passwordSetAtMs, isGood, expected) => {
  expect(await isCountedApart(passwordSetAtMs, isGood)).toBe(expected);
});
