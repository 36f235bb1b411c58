/**
 * Random schedules: appends from everywhere while logs and whole campuses go away and come back.
 * Checked: every acknowledged entry is read exactly once, in the order of slots, at the slot it was
 * acknowledged at, and one producer's entries in the order in which they were acknowledged. An entry
 * that was on its way while something was taken away may stand twice: its acknowledgement got lost, and
 * when it was repeated it was consumed and forgotten, or its stream had been moved by a writer that is
 * gone, too (README, "What the consumer must do").
 *
 * QUEUE_SEED=n repeats a schedule (its faults; how the calls fall between them is the machine's),
 * QUEUE_FAULTS and QUEUE_PAUSE_MS make longer ones.
 */
import { expect, test } from "vitest";
import { TRIM_DELAY_MS } from "./limits.ts";
import { CAMPUSES, QueueCluster } from "./testing/cluster.ts";
import { Ledger, Workers } from "./testing/consumer.ts";
import { seeded } from "./testing/random.ts";

const STREAMS = 6;
const FAULTS = Number(process.env.QUEUE_FAULTS ?? 14);
const FAULT_PAUSE_MS = Number(process.env.QUEUE_PAUSE_MS ?? 350);

interface Acknowledged {
  readonly stream: string;
  readonly id: string;
  readonly slot: number;
  /** Of the first attempt, and of the acknowledgement. */
  readonly startMs: number;
  readonly endMs: number;
}

/** One at a time: the next entry is sent when the last one was acknowledged, however often that takes. */
async function produce(
  cluster: QueueCluster,
  { name, stream, isOver }: { name: string; stream: string; isOver: () => boolean },
): Promise<Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  const client = cluster.clientOutside();
  for (let n = 1; !isOver(); n++) {
    const id = `${name}-${n}`;
    const entry = { stream, id: Buffer.from(id), payload: Buffer.alloc(100, n % 256) };
    const startMs = performance.now();
    for (;;) {
      try {
        const { slot } = await client.append(entry, { timeoutMs: 5_000 });
        acknowledged.push({ stream, id, slot, startMs, endMs: performance.now() });
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return acknowledged;
}

/** Takes something away or brings it back; never more than one campus is down. */
async function fault(cluster: QueueCluster, random: () => number): Promise<string> {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const down = CAMPUSES.filter((name) => !cluster.isUp(name));
  const campus = pick(CAMPUSES);
  const group = pick([1, 2]);
  const kind = random();
  if (kind < 0.35) {
    if (down.length > 0) {
      await cluster.startCampus(down[0]!);
      return `start campus ${down[0]}`;
    }
    await cluster.stopCampus(campus);
    return `stop campus ${campus}`;
  }
  if (kind < 0.7) {
    await cluster.stopLog(campus, group);
    return `stop log ${campus}${group}`;
  }
  await cluster.startLog(campus, group);
  return `start log ${campus}${group}`;
}

async function heal(cluster: QueueCluster): Promise<void> {
  for (const name of CAMPUSES) {
    if (!cluster.isUp(name)) await cluster.startCampus(name);
    for (const group of [1, 2]) await cluster.startLog(name, group);
  }
}

async function runSchedule(seed: number): Promise<void> {
  const random = seeded(seed);
  const cluster = await QueueCluster.start();
  const ledger = new Ledger();
  const workers = new Workers(cluster, ledger);
  let isOver = false;
  const story: string[] = [];
  const faultsMs: number[] = [];
  try {
    const producing = Array.from({ length: STREAMS * 2 }, (_, i) =>
      produce(cluster, { name: `p${i}`, stream: `s${i % STREAMS}`, isOver: () => isOver }),
    );
    for (let n = 0; n < FAULTS; n++) {
      await new Promise((resolve) => setTimeout(resolve, FAULT_PAUSE_MS * random()));
      faultsMs.push(performance.now());
      story.push(await fault(cluster, random));
    }
    isOver = true;
    await heal(cluster);
    const acknowledged = (await Promise.all(producing)).flat();
    const giveUp = performance.now() + 6_000;
    const isMissing = ({ stream, id }: Acknowledged) => !ledger.slots.has(`${stream}/${id}`);
    while (acknowledged.some(isMissing) && performance.now() < giveUp) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const context = `seed ${seed}: ${story.join(", ")}`;
    expect(acknowledged.filter(isMissing), context).toEqual([]);
    expect(ledger.wrong, context).toEqual([]);
    const isRepeated = ({ startMs, endMs }: Acknowledged) => {
      return (
        endMs - startMs > TRIM_DELAY_MS / 2 || faultsMs.some((ms) => startMs < ms && ms < endMs)
      );
    };
    checkOrder(ledger, { acknowledged, isRepeated }, context);
  } finally {
    isOver = true;
    await workers.stop();
    await cluster.stop();
  }
}

interface Outcome {
  readonly acknowledged: readonly Acknowledged[];
  /** Its producer may have had to repeat it. */
  isRepeated(entry: Acknowledged): boolean;
}

function checkOrder(ledger: Ledger, { acknowledged, isRepeated }: Outcome, context: string): void {
  expect(acknowledged.length, context).toBeGreaterThan(100);
  const repeated = new Set<string>();
  for (const entry of acknowledged) {
    const { stream, id, slot } = entry;
    if (isRepeated(entry)) repeated.add(`${stream}/${id}`);
    if (slot !== 0)
      expect(ledger.slots.get(`${stream}/${id}`), `${id}, ${context}`).toContain(slot);
  }
  for (const [stream, all] of ledger.read) {
    const ids = [...new Set(all)];
    const doubled = all.filter(
      (id, i) => all.indexOf(id) !== i && !repeated.has(`${stream}/${id}`),
    );
    expect(doubled, `${stream} doubled, ${context}`).toEqual([]);
    const lastOf = new Map<string, number>();
    for (const id of ids) {
      const [producer, n] = id.split("-");
      expect(Number(n), `${stream} ${id}, ${context}`).toBe((lastOf.get(producer!) ?? 0) + 1);
      lastOf.set(producer!, Number(n));
    }
  }
}

const seeds = process.env.QUEUE_SEED === undefined ? [1, 2, 3] : [Number(process.env.QUEUE_SEED)];

test.each(seeds)(
  "queue: nothing acknowledged is lost, doubled or reordered (seed %i)",
  runSchedule,
);
