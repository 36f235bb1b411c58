/**
 * What a device that was away waits for, and what it costs others: 30 devices that each missed 1,000
 * messages, one after the other; then one that missed 100,000, while two others talk. All services of three
 * campuses and the clients are in this one process, so these are upper bounds.
 *
 *   node bench/sync.ts [--missed 1000] [--devices 30] [--far 100000]
 */
import { parseArgs } from "node:util";
import { deliverMissed } from "../sdk/testing/missed.ts";
import { People, type Person } from "../sdk/testing/people.ts";
import { startWholePlatform } from "../services/platform/testing/whole-platform.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { percentile } from "./percentile.ts";

const CONVERSATION = "c:07au1-1|07au1-2";
const ALONE_MS = 10_000;

const { values } = parseArgs({
  options: {
    missed: { type: "string", default: "1000" },
    devices: { type: "string", default: "30" },
    far: { type: "string", default: "100000" },
  },
});
const [missed, devices, far] = [values.missed, values.devices, values.far].map(Number) as [
  number,
  number,
  number,
];

const platform = await startWholePlatform();
const people = new People(platform.endpoints);
const quiet = { autoSync: false, wantPush: false } as const;

async function away(name: string, count: number): Promise<Person> {
  const person = await people.offline(name, quiet);
  await deliverMissed(platform, { conversationId: CONVERSATION, userIds: [person.id], count });
  await person.client.connect();
  return person;
}

async function timeOfSync({ client }: Person): Promise<number> {
  const startedMs = monotonicMs();
  await client.sync();
  return monotonicMs() - startedMs;
}

const times: number[] = [];
for (let i = 0; i <= devices; i++) {
  const ms = await timeOfSync(await away(`away${i}`, missed));
  if (i > 0) times.push(ms); // the first one compiles
}
times.sort((a, b) => a - b);

const ann = await people.online("ann", { campus: "b" });
const cid = await people.online("cid", { campus: "c" });

/** Send-to-ack times, one message after the other, until `until` resolves. */
async function talk(until: Promise<unknown>): Promise<number[]> {
  const acks: number[] = [];
  let isOver = false;
  void until.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const { ackedAtMs, sentAtMs } = await ann.client.send({ userId: cid.id }, "hello");
    acks.push(ackedAtMs - sentAtMs);
  }
  return acks.sort((a, b) => a - b);
}

const bob = await away("bob", far);
const alone = await talk(new Promise((resolve) => setTimeout(resolve, ALONE_MS)));
let farMs = 0;
const beside = await talk(
  timeOfSync(bob).then((ms) => {
    farMs = ms;
  }),
);
await people.close();
await platform.stop();

const row = (what: string, sorted: readonly number[]) => ({
  what,
  times: sorted.length,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
  maxMs: percentile(sorted, 1),
});
const rows = [
  row(`sync of ${missed} missed messages`, times),
  row("others' send to ack, nobody syncs", alone),
  row(`others' send to ack, beside a sync of ${far}`, beside),
];
console.table(rows);
console.log(`Sync of ${far} missed messages: ${Math.round(farMs)} ms`);
console.log(JSON.stringify({ rows, far, farMs: Math.round(farMs) }));
