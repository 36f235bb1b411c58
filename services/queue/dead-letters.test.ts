import { afterAll, beforeAll, expect, test } from "vitest";
import type { DeadLetter } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
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

async function all(letters: DeadLetters, streamStart?: string): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const one of letters.all(streamStart)) found.push(one);
  return found;
}

test("dead letters: what was given up is listed once, in the order of slots, until it is removed", async () => {
  const letters = new DeadLetters(cluster.kv);
  const many = Array.from({ length: 40 }, (_, i) => letter("events/1", i + 1));
  await letters.bury(many, {});
  await letters.bury(
    [{ ...letter("events/1", 7), why: "again" }, letter("events/2", 3), letter("events/2", 3, 1)],
    {},
  );
  const page = await letters.page({ limit: 30 });
  expect(slots(page.letters)).toEqual(many.slice(0, 30).map(({ slot }) => slot));
  expect(page.letters[6]).toEqual(many[6]);
  const rest = await letters.page({ after: page.letters.at(-1), limit: 30 });
  expect([page.more, rest.more]).toEqual([true, false]);
  expect(rest.letters.map(nameOfLetter).slice(-3)).toEqual([
    "events/1@40.0",
    "events/2@3.0",
    "events/2@3.1",
  ]);
  await letters.remove([letterNamed("events/2@3.0")!]);
  expect(await letters.find({ stream: "events/2", slot: 3, part: 0 })).toBeUndefined();
  expect(await letters.find({ stream: "events/2", slot: 3, part: 1 })).toMatchObject({ part: 1 });
});

test("dead letters: those of one stream, or of streams whose names begin so, over many pages", async () => {
  const letters = new DeadLetters(cluster.kv);
  const many = Array.from({ length: 450 }, (_, i) => letter("pushes/1", i + 1));
  await letters.bury([...many, letter("pushes/10", 1), letter("push", 1)], {});
  expect((await all(letters, "pushes/")).length).toBe(451);
  expect(slots(await all(letters, "pushes/1#"))).toEqual(slots(many));
  const behind = { after: { stream: "events/9", slot: 1, part: 0 }, limit: 1 };
  expect(await letters.page({ ...behind, streamStart: "pushes/10" })).toMatchObject({
    letters: [{ stream: "pushes/10" }],
  });
});

test("dead letters: changes of the table bound their number", async () => {
  const keptChanges = 100;
  const letters = new DeadLetters(cluster.kv, { keptChanges });
  for (let slot = 1; slot <= 320; slot++) await letters.bury([letter("events/9", slot)], {});
  const left = slots(await all(letters, "events/9"));
  expect(left.length).toBeGreaterThanOrEqual(keptChanges);
  expect(left.length).toBeLessThan(2 * keptChanges + 10);
  expect(left.at(-1)).toBe(320);
});

test("dead letters: bytes bound them while they are buried, and their age", async () => {
  const nowMs = { value: letter("x", 1).buriedAtMs };
  const options = { keepMs: 1_000, bytesMax: 500_000, now: () => nowMs.value };
  const letters = new DeadLetters(cluster.kv, options);
  const large = { payload: Buffer.alloc(100_000) };
  for (let slot = 1; slot <= 30; slot++)
    await letters.bury([{ ...letter("bytes/1", slot), ...large }], {});
  const left = slots(await all(letters, "bytes/1"));
  expect(left.at(-1)).toBe(30);
  // What was buried since it was tidied comes on top.
  expect(left.length).toBeLessThanOrEqual(11);
  expect(left).toEqual(Array.from(left, (_, i) => 30 - left.length + 1 + i));
  nowMs.value += 1_001;
  await letters.bury([{ ...letter("bytes/1", 31), buriedAtMs: nowMs.value }], {});
  await letters.tidy({});
  expect(slots(await all(letters))).toEqual([31]);
});

test.each([
  ...["events/1", "events/1@x.0", "@1.0", ""],
  ...["events/1@0.0", "events/1@1.100000", "events/1#2@1.0", `${"e".repeat(201)}@1.0`],
])("dead letters: %j names none", (name) => {
  expect(letterNamed(name)).toBeUndefined();
});
