/**
 * Which priorities a process admits, from how long calls wait before they start (after DAGOR, SoCC 2018).
 *
 * Waiting is the signal because it is the process's own: response times grow when somebody further down is
 * slow, and a busy CPU is not yet an overloaded one. A window ends after 100 ms or 2,000 calls. What may be
 * admitted in the next one follows from what was started in this one, corrected in proportion to how far
 * the mean wait is from its threshold:
 *
 *   admitted next = ended x (1 + gain x (threshold - wait) / window)
 *
 * so an overload of 4 x is met within a few windows, and around the threshold steps are small (the original
 * takes 5 % off and adds 1 % however far it is off). The level is then put where the demand below it, by
 * priority, is what may be admitted. Callers know the level and do not send what would be refused, so
 * demand above it is not seen any more. Users are spread evenly over the buckets of a class, so what comes
 * from those that are let in tells of the others; of a class that is shed as a whole, what was seen last is
 * remembered and fades. (By bucket, and each remembered for itself, the same goes wrong: a few calls a
 * window are mostly chance, and what has faded is let in all at once.) A class's last bucket, which is nobody's, is
 * remembered for itself all the same: there may be more in it than in all others, and taken for a user's, it had
 * users shed for it.
 *
 * A process does not always have its core. What it starts in a window in which it stood still says nothing
 * of what it can do, and what then comes at once nothing of what is asked for: capacity is the best of a few
 * windows, and demand is learnt slowly unless it is quite another.
 *
 * A loop that works for long reads at once what came meanwhile, and much of it too late: what comes is counted over
 * the time since the last look, and calls whose time was over have waited, too. With neither, a burst was taken for
 * no demand, and its end, when all were too late, for rest: nobody was shed, and nobody served.
 *
 * What a call works after it has waited for something is seen by nobody as that call's. So the CPU time that
 * the thread used beyond what is known is shared out by numbers: of calls that began, and of own calls that
 * ended, with which somebody went on.
 */
import type { Admission, ThreadTimes } from "./admission.ts";
import { BUCKETS, CLASS_COUNT, EVERYTHING, LAST_BUCKET, USER_BUCKETS } from "./priority.ts";

export interface LevelOptions {
  /** Mean wait that is put up with, ms ... */
  readonly thresholdMs: number;
  /** ... or so many times the mean work of a call, when that is more. */
  readonly thresholdWorks: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  /** Default: calls have done all their work when they first wait. */
  readonly thread: () => ThreadTimes;
}

/** However many calls come: of those that are read at once, after the loop was busy, none was started yet. */
const WINDOW_MS_MIN = 10;

const NOTHING: ThreadTimes = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };

const DEFAULT_LEVEL_OPTIONS: LevelOptions = {
  thresholdMs: 20,
  thresholdWorks: 5,
  windowMs: 100,
  windowCalls: 2_000,
  thread: () => NOTHING,
};

/**
 * Shedding gives back no more time than what is shed would take. When calls that may be shed take less
 * than this part of it, what they wait for is other work, here or at who shares the CPU, and would be
 * there without them.
 */
const SHARE_MIN = 0.25;
/**
 * A thread that had nothing to do for this part of a window has caught up: what waited did so for a moment, as
 * behind the collector, and nothing is shed for it.
 */
const IDLE_MAX = 0.1;
const GAIN = 0.4;
/** Bounds of one step, as factors on what was started. */
const STEP_DOWN_MAX = 0.5;
const STEP_UP_MAX = 1.25;
/** Part of the new in the remembered demand and work. */
const LEARNING = 0.3;
/** Windows in which calls had to wait: what can be started is the most that was, in so many of them. */
const CAPACITY_WINDOWS = 3;
/** Demand that callers hold back fades by half in so long. */
const FADING_MS = 2_000;
/** Demand is taken to have changed as a whole when it did by more than this part; less is chance. */
const NOISE = 0.5;
/** Fewer calls say nothing about that, nor about what each of them works later. */
const COUNT_MIN = 10;
/** After so many windows without a call everything is admitted again. */
const QUIET_WINDOWS = 10;
/** Of each class two, in the order of priorities: the buckets of its users, and the last one. */
const BANDS = 2 * CLASS_COUNT;

export class AdaptiveLevel implements Admission {
  #options: LevelOptions;
  #level = EVERYTHING;
  #windowStartMs = 0;
  #arrived = 0;
  #started = 0;
  #expired = 0;
  #ended = 0;
  #lastEndedMs = 0;
  /** Of a call in this window, and of the last one in the windows before. */
  #lastArrivedMs = 0;
  #arrivedBeforeMs = 0;
  #waitedMs = 0;
  /** Calls that are never shed, and what was worked for them and for the others up to their first wait. */
  #passed = 0;
  #passedMs = 0;
  #workedMs = 0;
  #meanWorkMs = 0;
  #meanLaterMs = 0;
  /** At the begin of the window. */
  #thread: ThreadTimes;
  /** Calls a millisecond that were started in the last windows in which calls had to wait. */
  readonly #rates = new Float64Array(CAPACITY_WINDOWS);
  #nextRate = 0;
  #before = { elapsedMs: 0, ended: 0 };
  /** Calls that arrived in this window, by band: of buckets below the level, and of all. */
  readonly #admitted = new Uint32Array(BANDS);
  readonly #arrivals = new Uint32Array(BANDS);
  /** Calls a millisecond of one bucket, by band: what would come if nobody held back. */
  readonly #demand = new Float64Array(BANDS);

  constructor(options: Partial<LevelOptions> = {}) {
    this.#options = { ...DEFAULT_LEVEL_OPTIONS, ...options };
    this.#thread = this.#options.thread();
  }

  /** From now on another mean wait is put up with. */
  setThreshold(thresholdMs: number): void {
    this.#options = { ...this.#options, thresholdMs };
  }

  /**
   * Found at arrivals alone; when nothing that may be shed has come for a while it does not hold any more. Callers that
   * hold everything back would never learn of its end otherwise: calls that are never shed bring it to them.
   */
  level(nowMs: number): number {
    return this.#isQuiet(nowMs) ? EVERYTHING : this.#level;
  }

  /**
   * A loop that was busy with what was started before has not looked; that is no quiet. But one long call that
   * ends at last is no sign of what comes.
   */
  #isQuiet(nowMs: number): boolean {
    const quietMs = QUIET_WINDOWS * this.#options.windowMs;
    const busyMs = Math.min(quietMs, this.#lastEndedMs - this.#windowStartMs);
    return nowMs - this.#windowStartMs - Math.max(0, busyMs) > quietMs;
  }

  get laterMs(): number {
    return this.#meanLaterMs;
  }

  get thresholdMs(): number {
    const { thresholdMs, thresholdWorks } = this.#options;
    return Math.max(thresholdMs, thresholdWorks * this.#meanWorkMs);
  }

  arrive(priority: number, nowMs: number): boolean {
    const { windowMs, windowCalls } = this.#options;
    const elapsedMs = nowMs - this.#windowStartMs;
    // As long as none has ended, many are only a heap that was read at once.
    const isMany = this.#arrived >= windowCalls && this.#ended > 0;
    if (elapsedMs >= (isMany ? WINDOW_MS_MIN : windowMs)) this.#endWindow(nowMs);
    this.#arrived += 1;
    this.#lastArrivedMs = nowMs;
    const isIn = priority < this.#level;
    const band = bandOf(priority);
    this.#arrivals[band]! += 1;
    if (isIn) this.#admitted[band]! += 1;
    return isIn;
  }

  start(priority: number, waitedMs: number): boolean {
    // What was let in before the level fell waits in front of what may still come: it goes first.
    if (priority >= this.#level) return false;
    this.#started += 1;
    this.#waitedMs += waitedMs;
    return true;
  }

  /** It did wait: when a whole turn's calls are too late, that is all there is to see. */
  expired(waitedMs: number): void {
    this.#expired += 1;
    this.#waitedMs += waitedMs;
  }

  ended(nowMs: number): void {
    this.#ended += 1;
    this.#lastEndedMs = nowMs;
  }

  passed(): void {
    this.#passed += 1;
  }

  worked(sheddableMs: number, otherMs: number): void {
    this.#workedMs += sheddableMs;
    this.#passedMs += otherMs;
  }

  #endWindow(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowStartMs;
    const before = this.#thread;
    this.#thread = this.#options.thread();
    if (this.#isQuiet(nowMs)) {
      this.#level = EVERYTHING;
      this.#demand.fill(0);
      this.#arrivedBeforeMs = nowMs;
    } else {
      const sheddableMs = this.#sheddableMs(before);
      const isIdle = this.#thread.idleMs - before.idleMs > IDLE_MAX * elapsedMs;
      this.#learn(elapsedMs, sheddableMs);
      this.#step(elapsedMs, { sheddableMs, isIdle });
    }
    this.#windowStartMs = nowMs;
    this.#arrived = 0;
    this.#started = 0;
    this.#expired = 0;
    this.#ended = 0;
    this.#waitedMs = 0;
    this.#passed = 0;
    this.#passedMs = 0;
    this.#workedMs = 0;
    this.#arrivals.fill(0);
    this.#admitted.fill(0);
  }

  /** What calls that may be shed took of the window. */
  #sheddableMs(before: ThreadTimes): number {
    const { usedMs, sheddableEnded, othersEnded } = this.#thread;
    // Below nothing: of calls that carry many, and were not counted themselves since they came from this process.
    const restMs = usedMs - before.usedMs - this.#workedMs - Math.max(0, this.#passedMs);
    if (restMs <= 0) return this.#workedMs;
    const own = Math.max(this.#started, this.#ended);
    const sheddable = own + sheddableEnded - before.sheddableEnded;
    const others = this.#passed + othersEnded - before.othersEnded;
    return this.#workedMs + (restMs * sheddable) / Math.max(1, sheddable + others);
  }

  #learn(elapsedMs: number, sheddableMs: number): void {
    if (this.#started > 0) {
      this.#meanWorkMs += LEARNING * (sheddableMs / this.#started - this.#meanWorkMs);
    }
    // What is left over beside a few calls may be no call's, but the process's own work in a long window.
    if (this.#started >= COUNT_MIN) {
      const laterMs = (sheddableMs - this.#workedMs) / this.#started;
      this.#meanLaterMs += LEARNING * (laterMs - this.#meanLaterMs);
    }
    // What is read at once came since the last look, which may be long before the window began.
    const cameMs = Math.max(1, this.#lastArrivedMs - this.#arrivedBeforeMs);
    this.#arrivedBeforeMs = this.#lastArrivedMs;
    const growths = [this.#growth(0, cameMs), this.#growth(1, cameMs)];
    for (let band = 0; band < BANDS; band++) {
      const growth = growths[band % 2]!;
      const fading = Math.min(growth, 1) * 0.5 ** (elapsedMs / FADING_MS);
      const before = this.#demand[band]!;
      const buckets = bucketsBelow(this.#level, band);
      const counted = buckets > 0 ? this.#admitted[band]! : this.#arrivals[band]!;
      const seen = counted / (buckets || widthOf(band)) / cameMs;
      const learnt = before * growth + LEARNING * (seen - before * growth);
      // Of a band above the level only that comes which callers have not heard of yet.
      this.#demand[band] = buckets > 0 ? learnt : Math.max(learnt, before * fading);
    }
  }

  /**
   * By how much the demand of users, or of last buckets, has changed as a whole: far faster to see than its spread
   * over classes. The one says nothing of the other.
   */
  #growth(first: 0 | 1, cameMs: number): number {
    let seen = 0;
    let expected = 0;
    for (let band: number = first; band < BANDS; band += 2) {
      seen += this.#admitted[band]!;
      expected += this.#demand[band]! * bucketsBelow(this.#level, band) * cameMs;
    }
    if (expected < COUNT_MIN) return 1;
    const ratio = seen / expected;
    return ratio > 1 - NOISE && ratio < 1 + NOISE ? 1 : ratio;
  }

  #step(elapsedMs: number, had: { sheddableMs: number; isIdle: boolean }): void {
    const { thresholdMs } = this;
    const waits = this.#started + this.#expired;
    const meanMs = waits === 0 ? 0 : this.#waitedMs / waits;
    const rate = this.#rate(elapsedMs);
    // Those that were let in wait still: how long, nobody knows yet.
    if (waits === 0 && this.#admitted.some((count) => count > 0)) return;
    // Of a window in which none began and none ended nobody knows what they would have taken.
    const isTold = this.#started + this.#ended > 0;
    if (isTold && had.sheddableMs < SHARE_MIN * elapsedMs) {
      this.#level = EVERYTHING;
      return;
    }
    if (this.#level === EVERYTHING && (meanMs <= thresholdMs || had.isIdle)) return;
    // Done slower than could be is no measure of what can be; nor is that nothing was, when all wait for somebody else.
    if (rate > 0 && (meanMs >= thresholdMs / 2 || rate > Math.max(...this.#rates))) {
      this.#rates[this.#nextRate] = rate;
      this.#nextRate = (this.#nextRate + 1) % CAPACITY_WINDOWS;
    }
    const bestRate = Math.max(...this.#rates);
    if (bestRate === 0) return;
    const correction = 1 + (GAIN * (thresholdMs - meanMs)) / this.#options.windowMs;
    const factor = Math.min(STEP_UP_MAX, Math.max(STEP_DOWN_MAX, correction));
    this.#level = this.#levelFor(bestRate * factor);
  }

  /**
   * Calls a millisecond that ended, in this window and the one before: those of a long turn of the loop may end all
   * together, at its end.
   */
  #rate(elapsedMs: number): number {
    const before = this.#before;
    this.#before = { elapsedMs, ended: this.#ended };
    return (before.ended + this.#ended) / (before.elapsedMs + elapsedMs);
  }

  #levelFor(perMs: number): number {
    let room = perMs;
    for (let band = 0; band < BANDS; band++) {
      const ofBucket = this.#demand[band]!;
      const ofBand = ofBucket * widthOf(band);
      if (ofBand > room) return startOf(band) + Math.max(0, Math.round(room / ofBucket));
      room -= ofBand;
    }
    return EVERYTHING;
  }
}

function bandOf(priority: number): number {
  const c = Math.min(CLASS_COUNT - 1, Math.floor((priority - 1) / BUCKETS));
  return 2 * c + (priority - 1 - c * BUCKETS >= LAST_BUCKET ? 1 : 0);
}

/** The most important priority in it. */
function startOf(band: number): number {
  return 1 + Math.floor(band / 2) * BUCKETS + (band % 2) * LAST_BUCKET;
}

function widthOf(band: number): number {
  return band % 2 === 0 ? USER_BUCKETS : 1;
}

/** How many buckets of the band are let in at that level. */
function bucketsBelow(level: number, band: number): number {
  return Math.min(widthOf(band), Math.max(0, level - startOf(band)));
}
