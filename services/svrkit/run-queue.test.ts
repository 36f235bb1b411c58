import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { monotonicMs } from "./call.ts";
import { QUEUE_MAX, RunQueue } from "./run-queue.ts";

// The clock moves when a job says so: what a turn gets done does not depend on the machine.
let clockMs = 0;
beforeEach(() => {
  vi.spyOn(performance, "now").mockImplementation(() => clockMs);
});
afterEach(() => {
  vi.restoreAllMocks();
});
function busy(ms: number): void {
  clockMs += ms;
}
const nothing = () => 0;
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("run queue: a turn works for a slice, the rest keeps its order and goes on in the next ones", async () => {
  const done: number[] = [];
  const queue = new RunQueue<number>((job) => {
    busy(3);
    done.push(job);
  }, nothing);
  const submit = (job: number) => {
    if (!queue.isFree(monotonicMs())) return queue.add(job);
    busy(3);
    done.push(job);
    return true;
  };
  for (let job = 0; job < 20; job++) expect(submit(job)).toBe(true);
  expect(done.length).toBe(4);
  const turns: number[] = [];
  while (queue.length > 0) {
    await turn();
    turns.push(done.length);
  }
  expect(turns).toEqual([8, 12, 16, 20]);
  expect(done).toEqual(Array.from({ length: 20 }, (_, job) => job));
  await turn();
  expect(queue.isFree(monotonicMs())).toBe(true);
});

test("run queue: what a job works after it has waited for nothing is part of the slice", async () => {
  let done = 0;
  const queue = new RunQueue<number>(() => {
    void Promise.resolve().then(() => {
      busy(3);
      done += 1;
    });
  }, nothing);
  queue.isFree(monotonicMs());
  for (let job = 0; job < 12; job++) queue.add(job);
  await turn();
  expect(done).toBe(4);
  await turn();
  expect(done).toBe(8);
});

test("run queue: what a job works when it has waited for somebody is taken from the slice that begins it", async () => {
  const done: number[] = [];
  const run = (job: number) => {
    queue.begun();
    done.push(job);
  };
  const queue = new RunQueue<number>(run, () => 2.6);
  const turns: number[] = [];
  for (let job = 0; job < 10; job++) {
    if (queue.isFree(monotonicMs())) run(job);
    else queue.add(job);
  }
  while (queue.length > 0) {
    turns.push(done.length);
    await turn();
  }
  expect(turns).toEqual([4, 8]);
  expect(done).toEqual(Array.from({ length: 10 }, (_, job) => job));
});

test("run queue: jobs that do not begin take only the time that it took to see so", async () => {
  let seen = 0;
  const queue = new RunQueue<number>(
    () => {
      busy(0.125);
      seen += 1;
    },
    () => 2.6,
  );
  queue.isFree(monotonicMs());
  for (let job = 0; job < 200; job++) queue.add(job);
  const turns: number[] = [];
  while (queue.length > 0) {
    await turn();
    turns.push(seen);
  }
  expect(turns).toEqual([80, 160, 200]);
});

test("run queue: it holds so many and no more", async () => {
  let runs = 0;
  const queue = new RunQueue<number>(() => {
    runs += 1;
  }, nothing);
  queue.isFree(monotonicMs());
  for (let job = 0; job < QUEUE_MAX; job++) expect(queue.add(job)).toBe(true);
  expect(queue.add(0)).toBe(false);
  await expect.poll(() => runs).toBe(QUEUE_MAX);
  expect(queue.length).toBe(0);
});
