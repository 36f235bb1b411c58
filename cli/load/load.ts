/**
 * A load from beginning to end: people, groups, one phase of traffic or several, waiting until every
 * device has everything, and the ledger, made by a process of its own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../sdk/endpoints.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { unlessAborted } from "../interrupt.ts";
import { makeLedgerApart } from "../ledger/apart.ts";
import { type Step, Steps } from "../replay/steps.ts";
import { Timeline } from "../replay/timeline.ts";
import { Generators } from "./generators.ts";
import type { LoadLedgerReport } from "./load-ledger.ts";
import { Measured, Meter } from "./meter.ts";
import type { Named } from "./orders.ts";
import { planPopulation } from "./plan.ts";
import { writePopulation } from "./population-file.ts";
import type { Profile } from "./profile.ts";
import { judgeStep, nextRate, type SearchStep } from "./search.ts";
import { type ArrivalsEnd, arrivals, settle } from "./settle.ts";
import { UsageMeter, type Use } from "./usage.ts";

const LEDGER_MAIN = fileURLToPath(new URL("ledger-main.ts", import.meta.url));
/** Between the last preparation and the first send, and between the steps of a search. */
const REST_MS = 2_000;
const POLL_MS = 100;

export interface LoadSettings {
  readonly profile: Profile;
  readonly endpoints: readonly Endpoint[];
  /** Whose processes are measured; undefined: they run elsewhere. */
  readonly platform: Platform | undefined;
  readonly generators: number;
  readonly steps: readonly Step[];
  /** A search's goal. */
  readonly p99MsMax: number;
  /** Aborted: it ends, and what its steps have begun is undone. */
  readonly signal: AbortSignal;
  /** One line, about once a second. */
  readonly progress: (line: string) => void;
}

export interface LoadOutcome {
  readonly meter: Meter;
  readonly seconds: number;
  readonly use: Use | undefined;
  readonly search: readonly SearchStep[];
  readonly arrivals: ArrivalsEnd;
  /** Undefined when nothing was sent. */
  readonly ledger: LoadLedgerReport | undefined;
  /** Kept when something is wrong. */
  readonly storesDir: string | undefined;
}

export async function runLoad(settings: LoadSettings): Promise<LoadOutcome> {
  const load = new Load(settings);
  try {
    return await unlessAborted(settings.signal, () => load.run());
  } finally {
    await load.stop();
  }
}

class Load {
  readonly #settings: LoadSettings;
  readonly #run = `l${Date.now().toString(36)}`;
  readonly #meter = new Meter();
  readonly #generators: Generators;
  readonly #usage: UsageMeter | undefined;
  readonly #workDir = mkdtempSync(join(tmpdir(), "tricampus-load-"));
  readonly #ticker: NodeJS.Timeout;
  #groupIds: readonly string[] = [];
  #line: () => string = () => "";
  #keeps = false;
  #steps: Steps | undefined;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
    const { generators, platform, progress } = settings;
    this.#generators = new Generators(generators, (second) => this.#meter.heard(second));
    this.#usage = platform && new UsageMeter(platform, this.#generators.pids);
    this.#ticker = setInterval(() => progress(this.#line()), 1_000);
  }

  async run(): Promise<LoadOutcome> {
    const { profile } = this.#settings;
    const sends = profile.sendsPerSecond > 0;
    await this.#usage?.begin();
    await this.#gather();
    await rest(REST_MS);
    await this.#usage?.begin();
    const startMs = performance.now();
    const search = profile.searches ? await this.#search() : [];
    if (!profile.searches) await this.#single();
    const seconds = profile.searches ? profile.seconds : (performance.now() - startMs) / 1_000;
    const use = await this.#usage?.end();
    const ended = await this.#settle();
    const ledger = sends
      ? await makeLedgerApart<LoadLedgerReport>(LEDGER_MAIN, { storesDir: this.#workDir })
      : undefined;
    this.#keeps = ledger !== undefined && ledger.examples.length > 0;
    const storesDir = this.#keeps ? this.#workDir : undefined;
    return { meter: this.#meter, seconds, use, search, arrivals: ended, ledger, storesDir };
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    const left = await this.#steps?.undo();
    if (left !== undefined) this.#settings.progress(`what it did could not be undone: ${left}`);
    this.#generators.stop();
    this.#usage?.stop();
    if (!this.#keeps) rmSync(this.#workDir, { recursive: true, force: true });
  }

  /** Everybody registers, connects, and makes groups and contacts. */
  async #gather(): Promise<void> {
    const { profile, endpoints, generators } = this.#settings;
    const population = planPopulation(this.#run, profile);
    const { users, groups } = population;
    const ready = () => this.#meter.run.ready;
    this.#line = () => `${ready()} of ${users.length} users are ready`;
    const storesDir = profile.sendsPerSecond > 0 ? this.#workDir : undefined;
    const task = { run: this.#run, profile, endpoints, storesDir, generators };
    const opened = await this.#generators.order((index) => {
      return { kind: "open", task: { ...task, index } };
    });
    const userIds = inOrder(opened);
    this.#line = () => `making ${groups.length} groups, and contacts`;
    this.#groupIds = inOrder(await this.#generators.order(() => ({ kind: "meet", userIds })));
    writePopulation(this.#workDir, {
      ...{ run: this.#run, online: profile.online },
      users: users.map((user, index) => ({ ...user, userId: userIds[index]! })),
      groups: groups.map((members, index) => ({ groupId: this.#groupIds[index]!, members })),
    });
  }

  async #single(): Promise<void> {
    const { profile, steps: planned } = this.#settings;
    this.#meter.timeline = new Timeline(performance.now());
    const steps = new Steps(planned, this.#meter.timeline);
    this.#steps = steps;
    const startMs = performance.now();
    const elapsed = () => (performance.now() - startMs) / 1_000;
    this.#line = () => `${Math.round(elapsed())} s: ${this.#meter.takeLine()}`;
    const watch = setInterval(() => steps.reached(elapsed() / profile.seconds), POLL_MS);
    try {
      await this.#phase(0, profile.sendsPerSecond);
      // With nothing to send the generators are done at once: the connections are to stand.
      await rest(Math.max(0, profile.seconds * 1_000 - (performance.now() - startMs)));
      await steps.finish();
    } finally {
      clearInterval(watch);
    }
  }

  async #search(): Promise<SearchStep[]> {
    const { profile, p99MsMax, progress } = this.#settings;
    const found: SearchStep[] = [];
    for (let number = 0; ; number++) {
      const rate = nextRate(profile.sendsPerSecond, found);
      if (rate === undefined) return found;
      this.#line = () => `${rate}/s offered: ${this.#meter.takeLine()}`;
      const startMs = performance.now();
      await this.#phase(number, rate);
      const seconds = Math.max(profile.seconds, (performance.now() - startMs) / 1_000);
      const { acknowledgements, failed } = this.#meter.phase;
      const step = judgeStep(
        {
          sendsPerSecond: rate,
          acknowledgedPerSecond: Math.round(acknowledgements.count / seconds),
          ...{ p99Ms: acknowledgements.summary().p99, failed },
        },
        { p99MsMax, sends: acknowledgements.count + failed },
      );
      found.push(step);
      progress(`${rate}/s offered: ${step.isGood ? "carried" : "too much"}, p99 ${step.p99Ms} ms`);
      await arrivals(this.#meter);
      await rest(REST_MS);
    }
  }

  async #phase(number: number, sendsPerSecond: number): Promise<void> {
    const { seconds } = this.#settings.profile;
    this.#meter.phase = new Measured();
    const startAtMs = performance.timeOrigin + performance.now();
    const phase = { number, sendsPerSecond, seconds, startAtMs };
    const groupIds = this.#groupIds;
    await this.#generators.order(() => ({ kind: "phase", phase, groupIds }));
  }

  #settle(): Promise<ArrivalsEnd> {
    return settle({
      order: (orderOf) => this.#generators.order(orderOf),
      meter: this.#meter,
      hasOffline: this.#settings.profile.offline > 0,
      doing: (words) => {
        this.#line = () => `settling, ${words}: ${this.#meter.takeLine()}`;
      },
    });
  }
}

function inOrder(named: Named): string[] {
  const ids: string[] = [];
  for (const [index, id] of named) ids[index] = id;
  return ids;
}
