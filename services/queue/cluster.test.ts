import { expect, test } from "vitest";
import { testQueue } from "./cluster.suite.ts";
import { writingCampus } from "./protocol/placement.ts";
import { QueueCluster } from "./testing/cluster.ts";

testQueue("queue", () => ({}));

test("queue: a consumer of a topic that is far behind leaves room for messages, and for other topics", async () => {
  const cluster = await QueueCluster.start({ backlogs: { all: 100_000, topic: 10_000 } });
  const queue = cluster.clientOutside();
  let made = 0;
  const append = (stream: string) => {
    made += 1;
    return queue.append({ stream, id: Buffer.from(`${made}`), payload: Buffer.alloc(6_000) });
  };
  const campuses = { own: 0, usable: [true, true, true] };
  const inOneCampus = (topic: string) => {
    const names = Array.from({ length: 100 }, (_, i) => `${topic}${i}`);
    return names.filter((name) => writingCampus(name, campuses) === 0);
  };
  const [one, other] = inOneCampus("events/");
  const reader = cluster.reader("a");
  const poll = () => reader.poll({ positions: [], waitMs: 0, topic: "events" });
  await append(one!);
  await poll();
  expect(reader.roomIsScarce).toBe(false);
  await append(one!);
  await expect(append(other!)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  await poll();
  expect(reader.roomIsScarce).toBe(true);
  await reader.poll({ positions: [], waitMs: 0, topic: "pushes" });
  expect(reader.roomIsScarce).toBe(false);
  expect(await append(inOneCampus("pushes/")[0]!)).toEqual({ slot: 1 });
  const [group] = inOneCampus("g");
  expect(await append(group!)).toEqual({ slot: 1 });
  await cluster.stop();
});

test("queue: a reader buries more at once than fits into a call", async () => {
  const cluster = await QueueCluster.start();
  const payload = Buffer.alloc(10);
  const letters = Array.from({ length: 600 }, (_, i) => {
    return { stream: "events/1", slot: i + 1, part: 0, payload, why: "silent", buriedAtMs: 1 };
  });
  await cluster.reader("a").bury(letters);
  expect(cluster.buried.map(({ slot }) => slot)).toEqual(letters.map(({ slot }) => slot));
  await cluster.stop();
});
