/**
 * A service that works on one call at a time, in virtual time: Poisson arrivals of tasks, and bursts of them. Each
 * calls it one to four times, one call after the other, and succeeds when all of them do. Callers know the level that
 * the last answer told, and refuse by it themselves.
 */
import { Random } from "../../seeded-random.ts";
import type { Admission, ThreadTimes } from "../admission.ts";
import { EVERYTHING, isInLastBucket, LAST_BUCKET, priorityOf, USER_BUCKETS } from "../priority.ts";

interface Rate {
  readonly fromMs: number;
  readonly tasks: number;
  /** So many more that nobody waits for; default: none. */
  readonly late?: number;
}

export interface Load {
  /** Tasks a second, from when on. */
  readonly rates: readonly Rate[];
  /** Calls of a task: one is drawn for each. */
  readonly calls: readonly number[];
  readonly workMs: number;
  /** So many tasks more come all at once, every second. */
  readonly burst?: number;
  readonly forMs: number;
  readonly callerHeeds: boolean;
  /** Classes of the tasks: one is drawn for each. Default: one class. */
  readonly classes?: readonly ("login" | "message" | "moments")[];
  /** So long in every second its core is somebody else's: it neither works nor hears. */
  readonly stallMs?: number;
  /**
   * A call waits for somebody else before it works: in each turn of its loop the service begins what has come,
   * within a slice of time, then works for all whose wait is over. That work is seen as the thread's alone.
   */
  readonly worksAfterWait?: boolean;
  readonly seed: number;
}

export interface TaskOutcome {
  readonly atMs: number;
  readonly calls: number;
  readonly class: string;
  readonly isLate: boolean;
  readonly succeeded: boolean;
  readonly endMs: number;
  /** Calls of it that were worked on. */
  readonly worked: number;
}

interface Task {
  readonly atMs: number;
  readonly calls: number;
  readonly class: "login" | "message" | "moments";
  readonly priority: number;
  left: number;
  worked: number;
}

const NETWORK_MS = 0.2;
/** Of a call that works after a wait: what its begin takes, how long it waits, and a turn's time for begins. */
const START_MS = 0.02;
const WAIT_MS = 1;
const SLICE_MS = 10;
const DEADLINE_MS = 500;
/** What a caller has not heard again for so long it does not believe any more. */
const LEVEL_STALE_MS = 500;
const QUEUE_MAX = 4_096;

export function runOverloaded(
  admissionOf: (thread: () => ThreadTimes) => Admission,
  load: Load,
): TaskOutcome[] {
  return new OverloadedService(admissionOf, load).run();
}

class OverloadedService {
  readonly #admission: Admission;
  readonly #load: Load;
  readonly #random: Random;
  readonly #outcomes: TaskOutcome[] = [];
  /** The last one is the next to come. */
  readonly #events: { atMs: number; run: () => void }[] = [];
  readonly #queue: { task: Task; arrivedMs: number }[] = [];
  /** What has come while the loop did not look, and what waits for somebody else. */
  #unread: { task: Task; arrivedMs: number }[] = [];
  #waiting: { task: Task; untilMs: number }[] = [];
  #nowMs = 0;
  #isBusy = false;
  #usedMs = 0;
  #idleMs = 0;
  #idleSinceMs = 0;
  /** What callers know of the level, and since when. */
  #known = EVERYTHING;
  #heardMs = 0;

  constructor(admissionOf: (thread: () => ThreadTimes) => Admission, load: Load) {
    this.#load = load;
    this.#admission = admissionOf(() => this.#thread());
    this.#random = new Random(load.seed, "overload");
  }

  run(): TaskOutcome[] {
    this.#arrive();
    if (this.#load.burst !== undefined) this.#burst();
    for (;;) {
      const event = this.#events.pop()!;
      if (event.atMs > this.#load.forMs) return this.#outcomes;
      this.#nowMs = event.atMs;
      event.run();
    }
  }

  #after(ms: number, run: () => void): void {
    const atMs = this.#nowMs + ms;
    let at = this.#events.length;
    while (at > 0 && this.#events[at - 1]!.atMs < atMs) at -= 1;
    this.#events.splice(at, 0, { atMs, run });
  }

  #arrive(): void {
    const { tasks, late = 0 } = this.#load.rates.findLast(({ fromMs }) => fromMs <= this.#nowMs)!;
    this.#send(this.#task(late > 0 && this.#random.chance(late / (tasks + late))));
    const pauseMs = (-Math.log(1 - this.#random.next()) * 1_000) / (tasks + late);
    this.#after(pauseMs, () => this.#arrive());
  }

  #burst(): void {
    for (let i = 0; i < this.#load.burst!; i++) this.#send(this.#task(false));
    this.#after(1_000, () => this.#burst());
  }

  #task(isLate: boolean): Task {
    const random = this.#random;
    const { classes = ["message"] } = this.#load;
    const calls = random.pick(this.#load.calls);
    const kind = random.pick(classes);
    const bucket = Math.floor(random.next() * USER_BUCKETS);
    const priority = priorityOf(kind, isLate ? LAST_BUCKET : bucket);
    return { atMs: this.#nowMs, calls, class: kind, priority, left: calls, worked: 0 };
  }

  #send(task: Task): void {
    const isKnown = this.#nowMs - this.#heardMs < LEVEL_STALE_MS;
    if (this.#load.callerHeeds && isKnown && task.priority >= this.#known) this.#end(task, false);
    else this.#after(NETWORK_MS, () => this.#receive(task, this.#nowMs));
  }

  #receive(task: Task, arrivedMs: number): void {
    if (this.#stallLeftMs > 0) {
      this.#after(this.#stallLeftMs, () => this.#receive(task, arrivedMs));
      return;
    }
    if (this.#load.worksAfterWait) {
      this.#unread.push({ task, arrivedMs });
      this.#wake();
    } else if (this.#take({ task, arrivedMs }) && !this.#isBusy) this.#next();
  }

  /** False: it was refused. */
  #take({ task, arrivedMs }: { task: Task; arrivedMs: number }): boolean {
    const isAdmitted = this.#admission.arrive(task.priority, this.#nowMs);
    if (!isAdmitted || this.#queue.length >= QUEUE_MAX) {
      this.#refuse(task);
      return false;
    }
    this.#queue.push({ task, arrivedMs });
    return true;
  }

  #next(): void {
    const task = this.#begin();
    if (task === undefined) {
      this.#becomeIdle();
      return;
    }
    this.#becomeBusy();
    const startedMs = this.#nowMs;
    this.#after(this.#load.workMs, () => this.#worked(task, startedMs));
  }

  /** The next call in the queue that is worth it. */
  #begin(): Task | undefined {
    for (let head = this.#queue.shift(); head !== undefined; head = this.#queue.shift()) {
      const { task, arrivedMs } = head;
      const isLate = this.#nowMs - task.atMs > DEADLINE_MS;
      const waitedMs = this.#nowMs - arrivedMs;
      if (isLate) this.#admission.expired(waitedMs);
      else if (this.#admission.start(task.priority, waitedMs, this.#nowMs)) return task;
      this.#refuse(task);
    }
    return undefined;
  }

  /** Turns of the loop until it has nothing to do. */
  #wake(): void {
    if (this.#isBusy) return;
    this.#becomeBusy();
    const turns = this.#turns();
    const goOn = () => {
      const { value: tookMs, done } = turns.next();
      if (!done) this.#after(tookMs, goOn);
    };
    goOn();
  }

  /** Yields what each step of it takes. */
  *#turns(): Generator<number, void> {
    do {
      let sliceEndMs = this.#nowMs + SLICE_MS;
      const due = this.#waiting.filter(({ untilMs }) => untilMs <= this.#nowMs);
      this.#waiting = this.#waiting.filter(({ untilMs }) => untilMs > this.#nowMs);
      for (const read of this.#unread.splice(0)) {
        this.#take(read);
        yield START_MS;
      }
      while (this.#nowMs < sliceEndMs) {
        const task = this.#begin();
        if (task === undefined) break;
        sliceEndMs -= this.#admission.laterMs;
        this.#waiting.push({ task, untilMs: this.#nowMs + WAIT_MS });
        this.#after(WAIT_MS, () => this.#wake());
        yield START_MS;
      }
      for (const { task } of due) {
        const startedMs = this.#nowMs;
        yield this.#load.workMs;
        this.#finish(task, startedMs);
      }
    } while (this.#unread.length + this.#queue.length > 0 || this.#hasDue);
    this.#becomeIdle();
  }

  get #hasDue(): boolean {
    return this.#waiting.some(({ untilMs }) => untilMs <= this.#nowMs);
  }

  #becomeBusy(): void {
    if (!this.#isBusy) this.#idleMs += this.#nowMs - this.#idleSinceMs;
    this.#isBusy = true;
  }

  #becomeIdle(): void {
    if (this.#isBusy) this.#idleSinceMs = this.#nowMs;
    this.#isBusy = false;
  }

  #thread(): ThreadTimes {
    const idleMs = this.#idleMs + (this.#isBusy ? 0 : this.#nowMs - this.#idleSinceMs);
    return { usedMs: this.#usedMs, idleMs, sheddableEnded: 0, othersEnded: 0 };
  }

  get #stallLeftMs(): number {
    return Math.max(0, (this.#load.stallMs ?? 0) - (this.#nowMs % 1_000));
  }

  #worked(task: Task, startedMs: number): void {
    if (this.#stallLeftMs > 0) {
      this.#after(this.#stallLeftMs, () => this.#worked(task, startedMs));
      return;
    }
    this.#finish(task, startedMs);
    this.#next();
  }

  #finish(task: Task, startedMs: number): void {
    this.#usedMs += this.#load.workMs;
    if (!this.#load.worksAfterWait) this.#admission.worked(this.#nowMs - startedMs, 0);
    this.#admission.ended(this.#nowMs);
    task.worked += 1;
    task.left -= 1;
    this.#tellLevel();
    if (task.left > 0) this.#send(task);
    else this.#end(task, this.#nowMs - task.atMs <= DEADLINE_MS);
  }

  #refuse(task: Task): void {
    this.#tellLevel();
    this.#end(task, false);
  }

  #tellLevel(): void {
    const level = this.#admission.level(this.#nowMs);
    this.#after(NETWORK_MS, () => {
      this.#known = level;
      this.#heardMs = this.#nowMs;
    });
  }

  #end({ atMs, calls, worked, class: kind, priority }: Task, succeeded: boolean): void {
    const isLate = isInLastBucket(priority);
    this.#outcomes.push({
      atMs,
      calls,
      class: kind,
      isLate,
      succeeded,
      endMs: this.#nowMs,
      worked,
    });
  }
}
