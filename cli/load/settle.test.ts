/** The end of a load, with two generators in this process: what is on its way then is waited for. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { readDeviceFile } from "../../sdk/file-store.ts";
import { sendsIn } from "../../sdk/line-store.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { countWrong } from "../ledger/ledger.ts";
import { deviceFile } from "../replay/files.ts";
import { Generator } from "./generator.ts";
import { makeLoadLedger } from "./load-ledger.ts";
import { Meter } from "./meter.ts";
import type { Named, Order } from "./orders.ts";
import { planPopulation } from "./plan.ts";
import { writePopulation } from "./population-file.ts";
import { PROFILES, scaleProfile } from "./profile.ts";
import { arrivals, settle } from "./settle.ts";
import { Tally } from "./tally.ts";

const TELL_EVERY_MS = 200;
const LATE_MS = 1_000;
const direct = PROFILES.find(({ name }) => name === "direct")!;
/** Two people, each in a generator of its own. */
const profile = scaleProfile(direct, { factor: 0.002, seconds: 1, sendsPerSecond: 20 });

let platform: SmallPlatform;
let storesDir: string;
let meter: Meter;
let generators: Generator[];
let run: string;
let userIds: string[];
let ticker: NodeJS.Timeout;

beforeAll(async () => {
  platform = await startSmallPlatform();
});
afterAll(() => platform.stop());

beforeEach(() => {
  run = `l${performance.now().toFixed(0)}`;
  storesDir = mkdtempSync(join(tmpdir(), "tricampus-settle-"));
  meter = new Meter();
  generators = [];
  ticker = setInterval(hear, TELL_EVERY_MS);
});
afterEach(() => {
  clearInterval(ticker);
  rmSync(storesDir, { recursive: true });
});

function hear(): void {
  for (const { tally } of generators) meter.heard(tally.take());
}

async function open(stillMs?: number): Promise<void> {
  const task = { run, profile, endpoints: platform.endpoints, storesDir, generators: 2 };
  generators = [0, 1].map((index) => new Generator({ ...task, index }, stillMs));
  const opened = await Promise.all(generators.map((generator) => generator.open()));
  userIds = [];
  for (const [user, id] of opened.flat()) userIds[user] = id;
  await order({ kind: "meet", userIds });
  const users = planPopulation(run, profile).users.map((user, index) => {
    return { ...user, userId: userIds[index]! };
  });
  writePopulation(storesDir, { run, online: 2, users, groups: [] });
}

async function order(one: Order): Promise<Named> {
  if (one.kind === "open") throw new Error("they are open");
  await Promise.all(generators.map((generator) => generator.carryOut(one)));
  hear();
  return [];
}

function send(): Promise<Named> {
  const startAtMs = performance.timeOrigin + performance.now();
  const phase = { number: 0, sendsPerSecond: 20, seconds: 1, startAtMs };
  return order({ kind: "phase", phase, groupIds: [] });
}

/** Nobody answers the first send until `release`. */
function holdFirstSend() {
  const released = Promise.withResolvers<void>();
  const held = { id: "", recipient: 0, release: released.resolve };
  platform.backend.beforeSend = async ({ clientMessageId, to }) => {
    if (held.id === "") {
      held.id = clientMessageId;
      held.recipient = userIds.indexOf(to!.value!);
    }
    if (held.id === clientMessageId) await released.promise;
  };
  return held;
}

/** By what its sender's device has on the disk. */
function outcomeOf({ id, recipient }: { id: string; recipient: number }): string | undefined {
  const { name, devices } = planPopulation(run, profile).users[1 - recipient]!;
  const sends = sendsIn(readDeviceFile(deviceFile(storesDir, name, devices[0]!)));
  return sends.find(({ clientMessageId }) => clientMessageId === id)?.outcome.state;
}

/**
 * Settles. `held` is released when the generators have waited a second for it to be settled; else when its
 * recipient's generator has closed, and the sender's has not.
 */
function settleWith(held: ReturnType<typeof holdFirstSend>, releasesInQuiet: boolean) {
  const carryOut = async (one: Order) => {
    if (one.kind === "quiet") {
      const timer = setTimeout(() => releasesInQuiet && held.release(), LATE_MS);
      await order(one);
      clearTimeout(timer);
    } else if (one.kind === "close") {
      await generators[held.recipient]!.carryOut(one);
      held.release();
      await until(() => platform.backend.inbox(userIds[held.recipient]!).some(isHeld));
      // Long enough for an acknowledgement that nobody waited for to come now.
      for (let i = 0; i < 50 && outcomeOf(held) === "open"; i++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      await generators[1 - held.recipient]!.carryOut(one);
    } else if (one.kind !== "read") await order(one); // the small platform keeps no reading
    return [];
  };
  const isHeld = ({ clientMessageId }: { clientMessageId: string }) => clientMessageId === held.id;
  const parts = { meter, hasOffline: false, doing: () => {} };
  return settle({ ...parts, order: (orderOf) => carryOut(orderOf(0)) });
}

test("settle: a send acknowledged after its sender was told of no answer is waited for", async () => {
  await open();
  const held = holdFirstSend();
  await send();
  expect(meter.run.failed).toBeGreaterThanOrEqual(1);
  expect(await settleWith(held, true)).toBe("all");
  const { counts, examples } = makeLoadLedger(storesDir);
  expect(examples).toEqual([]);
  expect(countWrong(counts)).toBe(0);
  expect(outcomeOf(held)).toBe("acknowledged");
  // What was acknowledged late is expected, too.
  expect(meter.run).toMatchObject({ givenUp: 0, expected: 2 * counts.messages });
  expect(meter.run.arrived).toBe(meter.run.expected);
}, 60_000);

test("settle: a send that nobody answers is given up, and not acknowledged afterwards", async () => {
  await open(2_000);
  const held = holdFirstSend();
  await send();
  expect(await settleWith(held, false)).toBe("all");
  const { counts, examples } = makeLoadLedger(storesDir);
  expect(examples).toEqual([]);
  expect(countWrong(counts)).toBe(0);
  expect(outcomeOf(held)).toBe("failed");
  expect(meter.run.givenUp).toBeGreaterThanOrEqual(1);
}, 60_000);

test("settle: what lies behind an own message without a number is waited for", async () => {
  await open();
  platform.backend.beforeSend = async () => {};
  Object.assign(platform.backend, { pushes: false, unnumberedVersion: 3 });
  await send();
  setTimeout(() => {
    platform.backend.unnumberedVersion = Number.POSITIVE_INFINITY;
  }, LATE_MS);
  for (const kind of ["sync", "sync", "close"] as const) await order({ kind });
  const { counts, examples } = makeLoadLedger(storesDir);
  expect(examples).toEqual([]);
  expect(countWrong(counts)).toBe(0);
  expect(counts.messages).toBeGreaterThan(5);
  expect(meter.run.syncsBehind).toBe(0);
}, 60_000);

test("settle: while something comes, arrivals are waited for, however few were expected", async () => {
  clearInterval(ticker);
  const tally = new Tally();
  let lastMs = 0;
  const told = setInterval(() => {
    tally.arrived = 1;
    meter.heard(tally.take());
    lastMs = performance.now();
  }, 500);
  setTimeout(() => clearInterval(told), 2_000);
  expect(await arrivals(meter)).toBe("all");
  expect(meter.run.arrived).toBeGreaterThanOrEqual(2);
  expect(performance.now() - lastMs).toBeGreaterThan(2_900);
}, 30_000);
