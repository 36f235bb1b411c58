/**
 * Which campus to try next, and when. Pure: time and chance are arguments.
 *
 * After a loss another campus is tried, by chance, so that the clients of a lost campus spread evenly
 * over the others; campuses that failed lately come last. Who waits for an answer tries at once. Who
 * has nothing open does so within IDLE_SPREAD_MS: a third of all clients lose their campus in one
 * moment, and those who wait are not to queue behind those who do not. From the second failure on the
 * pause doubles from 50 ms to 2 s, jittered. A connection counts as a success only when it stood for a
 * while: otherwise a campus that takes connections and drops them would be tried without pause.
 */
export interface Endpoint {
  readonly campus: string;
  /** "http://127.0.0.1:7100" or "ws://..." */
  readonly url: string;
}

const PAUSE_FIRST_MS = 50;
const PAUSE_LAST_MS = 2_000;
const IDLE_SPREAD_MS = 2_000;
const STOOD_MS = 1_000;
const FAILED_LATELY_MS = 5_000;

export interface Loss {
  readonly nowMs: number;
  /** How long the connection stood; 0 when there was none. */
  readonly stoodMs: number;
  /** Nobody waits for an answer. */
  readonly isIdle: boolean;
}

export class EndpointChooser {
  #endpoints: readonly Endpoint[];
  #current: Endpoint;
  #failures = 0;
  /** By campus. */
  readonly #failedAtMs = new Map<string, number>();

  /** At least one; the first is tried first. */
  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
    this.#current = endpoints[0]!;
  }

  get current(): Endpoint {
    return this.#current;
  }

  /** All, the current one first. */
  get all(): readonly Endpoint[] {
    const others = this.#endpoints.filter(({ campus }) => campus !== this.#current.campus);
    return [this.#current, ...others];
  }

  /** Other ones from now on; none: those that are known stay. */
  replace(endpoints: readonly Endpoint[]): void {
    if (endpoints.length > 0) this.#endpoints = endpoints;
  }

  /** The current endpoint failed, or its connection ended. Moves on; returns the pause before trying. */
  failed({ nowMs, stoodMs, isIdle }: Loss, random: () => number): number {
    if (stoodMs >= STOOD_MS) this.#failures = 0;
    this.#failures += 1;
    this.#failedAtMs.set(this.#current.campus, nowMs);
    this.#current = this.#other(nowMs, random);
    if (this.#failures === 1) return isIdle ? random() * IDLE_SPREAD_MS : 0;
    const pauseMs = Math.min(PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** (this.#failures - 2));
    return pauseMs * (0.5 + random() / 2);
  }

  #other(nowMs: number, random: () => number): Endpoint {
    const others = this.#endpoints.filter(({ campus }) => campus !== this.#current.campus);
    if (others.length === 0) return this.#endpoints[0]!;
    const good = others.filter(({ campus }) => {
      const failedAtMs = this.#failedAtMs.get(campus) ?? Number.NEGATIVE_INFINITY;
      return nowMs - failedAtMs > FAILED_LATELY_MS;
    });
    const candidates = good.length > 0 ? good : others;
    return candidates[Math.floor(random() * candidates.length)]!;
  }
}
