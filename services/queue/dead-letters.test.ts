import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../kvsvr/testing/cluster.ts";
import { DeadLetters, letterNamed, nameOfLetter } from "./dead-letters-client.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.close());

const letter = (stream: string, slot: number, part = 0) => {
  const payload = Buffer.from(`payload of ${slot}`);
  return { stream, slot, part, payload, why: "status 500", buriedAtMs: 1_700_000_000_000 };
};
const slots = (letters: { slot: number }[]) => letters.map(({ slot }) => slot);

test("dead letters: what was given up is listed once, in the order of slots, until it is removed", async () => {
  const letters = new DeadLetters(cluster.kv);
  const many = Array.from({ length: 40 }, (_, i) => letter("events/1", i + 1));
  await letters.bury(many, {});
  await letters.bury(
    [{ ...letter("events/1", 7), why: "again" }, letter("events/2", 3), letter("events/2", 3, 1)],
    {},
  );
  const page = await letters.list({ limit: 30 });
  expect(slots(page)).toEqual(many.slice(0, 30).map(({ slot }) => slot));
  expect(page[6]).toEqual(many[6]);
  const rest = await letters.list({ after: page.at(-1), limit: 30 });
  expect(rest.map(nameOfLetter).slice(-3)).toEqual([
    "events/1@40.0",
    "events/2@3.0",
    "events/2@3.1",
  ]);
  await letters.remove(letterNamed("events/2@3.0")!);
  expect(await letters.find({ stream: "events/2", slot: 3, part: 0 })).toBeUndefined();
  expect(await letters.find({ stream: "events/2", slot: 3, part: 1 })).toMatchObject({ part: 1 });
});

test("dead letters: the newest stay, the oldest are forgotten", async () => {
  const kept = 100;
  const letters = new DeadLetters(cluster.kv, kept);
  for (let slot = 1; slot <= 320; slot++) await letters.bury([letter("events/9", slot)], {});
  const left = slots(await letters.list({ limit: 1_000 }));
  expect(left.length).toBeGreaterThanOrEqual(kept);
  expect(left.length).toBeLessThan(2 * kept + 10);
  expect(left.at(-1)).toBe(320);
});

test.each(["events/1", "events/1@x.0", "@1.0", ""])("dead letters: %j names none", (name) => {
  expect(letterNamed(name)).toBeUndefined();
});
