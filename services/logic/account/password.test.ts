import { expect, test } from "vitest";
import { monotonicMs } from "../../svrkit/call.ts";
import { PasswordHasher } from "./password.ts";

const CHEAP = { memoryKib: 64, passes: 1 };
const soon = () => monotonicMs() + 10_000;

test("password: the right one matches, another does not", async () => {
  const hasher = new PasswordHasher(CHEAP);
  const stored = await hasher.hash("correct horse", soon());
  expect(stored.toString()).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  expect(await hasher.matches("correct horse", stored, soon())).toBe(true);
  expect(await hasher.matches("correct horsf", stored, soon())).toBe(false);
  expect(await hasher.matches("correct horse", undefined, soon())).toBe(false);
});

test("password: two hashes of one password differ, and keep their own cost", async () => {
  const stored = await new PasswordHasher({ memoryKib: 128, passes: 2 }).hash(
    "correct horse",
    soon(),
  );
  const hasher = new PasswordHasher(CHEAP);
  expect(await hasher.hash("correct horse", soon())).not.toEqual(
    await hasher.hash("correct horse", soon()),
  );
  expect(await hasher.matches("correct horse", stored, soon())).toBe(true);
});

test("password: the hashes of the platform cost 19 MiB, so an attacker's guesses do, too", async () => {
  const hasher = new PasswordHasher({ memoryKib: 19_456, passes: 2 });
  const stored = await hasher.hash("correct horse", soon());
  expect(stored.toString()).toContain("m=19456,t=2,p=1");
  expect(await hasher.matches("correct horse", stored, soon())).toBe(true);
});

test("password: a rush is bounded: what cannot wait is refused, what waited too long is not hashed", async () => {
  const hasher = new PasswordHasher(CHEAP);
  const rush = Array.from({ length: 500 }, () => hasher.hash("correct horse", soon()));
  const outcomes = await Promise.allSettled(rush);
  const refused = outcomes.filter((o) => o.status === "rejected");
  expect(refused).toHaveLength(500 - 402);
  expect(refused[0]!.reason).toMatchObject({ code: "OVERLOADED" });
  const past = monotonicMs() - 1;
  const late = await Promise.allSettled(
    Array.from({ length: 4 }, () => hasher.hash("correct horse", past)),
  );
  expect(late.map((o) => o.status)).toEqual(["fulfilled", "fulfilled", "rejected", "rejected"]);
});
