/**
 * Calls that may be shed wait here when a turn of the event loop has had its share of them. Without it a
 * loop that falls behind reads a heap of calls at once and works it off before it looks at the network
 * again: pings stay unanswered, and how much is really asked for is seen when it is too late. So no turn
 * works longer than a slice; what is left keeps its place, is bounded, and goes on in the next turn.
 *
 * Most calls work on after they have waited for somebody else, and what a turn begins comes back together: a
 * thousand begun in ten milliseconds is a second in which nobody looks at the network. So what a call
 * works later, on average, is taken from the slice of the turn that begins it. One that is refused when its
 * turn comes, or is too late then, works nothing later and takes nothing.
 *
 * Calls that are never shed do not pass through here.
 */
import { monotonicMs } from "./call.ts";

/** Work on calls in one turn, ms: short beside every patience there is. */
const SLICE_MS = 10;
/** ... but for so many calls in any case: what they work later is an estimate. */
const CALLS_MIN = 4;
/** Calls that wait, at most: with more, nobody at the end of the queue would be served in time. */
export const QUEUE_MAX = 4_096;

export class RunQueue<Job> {
  readonly #run: (job: Job, nowMs: number) => void;
  readonly #laterMs: () => number;
  #jobs: (Job | undefined)[] = [];
  #next = 0;
  /** The turn's slice is over then; undefined: no call came in this turn. */
  #sliceEndMs: number | undefined;

  /**
   * `run` must not throw, and says so when the job has `begun`. `laterMs`: what such a job works on average after its
   * first wait.
   */
  constructor(run: (job: Job, nowMs: number) => void, laterMs: () => number) {
    this.#run = run;
    this.#laterMs = laterMs;
  }

  get length(): number {
    return this.#jobs.length - this.#next;
  }

  /** Whether a call that comes now may run at once, and then does: nobody waits, and the turn has time left. */
  isFree(nowMs: number): boolean {
    if (this.#sliceEndMs === undefined) {
      this.#sliceEndMs = nowMs + SLICE_MS;
      setImmediate(this.#turn);
      return true;
    }
    return this.length === 0 && nowMs < this.#sliceEndMs;
  }

  /** False: too many wait already. */
  add(job: Job): boolean {
    if (this.length >= QUEUE_MAX) return false;
    this.#jobs.push(job);
    return true;
  }

  /** A job that came when it was free here, or whose turn it is: what it works later is taken from the slice. */
  begun(): void {
    this.#sliceEndMs! -= Math.min(this.#laterMs(), SLICE_MS / CALLS_MIN);
  }

  readonly #turn = (): void => {
    this.#sliceEndMs = monotonicMs() + SLICE_MS;
    this.#step();
  };

  /** One call, and what it goes on with at once, which is its work as well; then the next one. */
  readonly #step = (): void => {
    if (this.length === 0) {
      this.#jobs = [];
      this.#next = 0;
      this.#sliceEndMs = undefined;
      return;
    }
    const nowMs = monotonicMs();
    if (nowMs >= this.#sliceEndMs!) {
      this.#rest();
      return;
    }
    const job = this.#jobs[this.#next]!;
    this.#jobs[this.#next] = undefined;
    this.#next += 1;
    this.#run(job, nowMs);
    queueMicrotask(this.#step);
  };

  /** Until the next turn: what comes meanwhile queues up behind the others. */
  #rest(): void {
    if (this.#next > QUEUE_MAX) {
      this.#jobs = this.#jobs.slice(this.#next);
      this.#next = 0;
    }
    this.#sliceEndMs = 0;
    setImmediate(this.#turn);
  }
}
