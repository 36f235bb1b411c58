/** S1: the pipeline is ordered, asynchronous and batched, and tells what it dropped. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type {
  PipelineReply,
  PipelineRequest,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { PIPELINE_BACKLOG_BYTES_MAX, PIPELINE_BATCH_BYTES } from "../limits.ts";
import { Outbox } from "./outbox.ts";

const SELF = 0;
const PEER = 1;
const GROUP = { epoch: 7, admission: undefined };

/** A batch that came to the peer: the versions in it. */
interface Batch {
  readonly versions: number[];
  readonly gap: boolean;
  readonly answer: (reply: Partial<PipelineReply>) => void;
}

let outbox: Outbox;
/** Those that came, the last of which is not answered. */
let batches: Batch[];
let underWay: number;

beforeEach(() => {
  batches = [];
  underWay = 0;
  // What the wire would carry, and when it answers, is the test's.
  const call = (_peer: number, _method: unknown, request: unknown) =>
    take(request as PipelineRequest) as Promise<never>;
  outbox = new Outbox({ self: SELF, call, heardOf: () => {} }, PEER, GROUP);
});
afterEach(() => outbox.stop());

function take({ items, gap, from, epoch }: PipelineRequest): Promise<PipelineReply> {
  expect([from, epoch]).toEqual([SELF, GROUP.epoch]);
  underWay += 1;
  expect(underWay).toBe(1);
  const versions = items.map(({ item }) => (item?.case === "notice" ? item.value.version : 0));
  return new Promise((resolve) => {
    const answer = (reply: Partial<PipelineReply>) => {
      underWay = 0;
      resolve({ barred: "", catchingUp: false, ...reply });
    };
    batches.push({ versions, gap, answer });
  });
}

/** A notice of that version, said to take so many bytes. */
function push(version: number, bytes = 0): void {
  const key = { keyspace: 1, key: Buffer.from("k") };
  const item = { case: "notice" as const, value: { version, digest: version } };
  outbox.push({ key, item, trace: new Uint8Array() }, bytes);
}

async function batch(number: number): Promise<Batch> {
  await expect.poll(() => batches.length, { timeout: 5_000 }).toBe(number);
  return batches[number - 1]!;
}

test("pipeline: what waits goes together and in order, one batch at a time", async () => {
  for (const version of [1, 2, 3]) push(version);
  const first = await batch(1);
  expect(first.versions).toEqual([1, 2, 3]);
  for (const version of [4, 5]) push(version);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(batches.length).toBe(1);
  first.answer({});
  const second = await batch(2);
  expect(second).toMatchObject({ versions: [4, 5], gap: false });
  second.answer({});
  await expect.poll(() => outbox.backlog).toBe(0);
});

test("pipeline: a batch has no more than its bytes, and one that was refused comes again", async () => {
  for (const version of [1, 2, 3]) push(version, PIPELINE_BATCH_BYTES / 2);
  const first = await batch(1);
  expect(first.versions).toEqual([1, 2]);
  first.answer({ barred: "it may not vote" });
  const again = await batch(2);
  expect(again.versions).toEqual([1, 2]);
  again.answer({});
  expect((await batch(3)).versions).toEqual([3]);
});

test("pipeline: beyond its limit all is dropped, and the peer is told so once, of each time", async () => {
  const HALF = PIPELINE_BACKLOG_BYTES_MAX / 2;
  push(1, HALF);
  const first = await batch(1);
  expect(first).toMatchObject({ versions: [1], gap: false });
  push(2, HALF);
  expect([outbox.hasGap, outbox.backlog]).toEqual([true, 0]);
  push(3);
  first.answer({});
  const telling = await batch(2);
  expect(telling).toMatchObject({ versions: [3], gap: true });
  // Once more, while that batch is under way.
  push(4, HALF);
  push(5, HALF);
  telling.answer({});
  const tellingAgain = await batch(3);
  expect(tellingAgain).toMatchObject({ versions: [], gap: true });
  tellingAgain.answer({});
  await expect.poll(() => outbox.hasGap).toBe(false);
  push(6);
  expect(await batch(4)).toMatchObject({ versions: [6], gap: false });
});
