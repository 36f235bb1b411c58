/**
 * Whether an integrator's server takes anything, and whose turn it is to find out. While it takes, all
 * requests go at once. When one fails the server is *down*: from then on one request at a time is a probe, with
 * growing pauses, and the others wait in line. A probe that fails goes to the end of the line, so a request
 * that alone fails does not keep those behind it waiting.
 */
import { restUnless } from "../../svrkit/rest.ts";
import { type AttemptLimits, pauseAfter } from "./plan/attempts.ts";

/** Failures in a row after which people are told. */
const TROUBLE_AT = 3;

export interface ReceiverParts {
  readonly limits: AttemptLimits;
  readonly stopped: AbortSignal;
  /** Why the server takes nothing; undefined when it does again. */
  readonly onTrouble: (why: string | undefined) => void;
  /** 0 to 1. */
  readonly random: () => number;
}

/** One request's place in the line. */
export type Place = object;

export class Receiver {
  readonly #parts: ReceiverParts;
  /** undefined: it takes. */
  #down: { readonly why: string; readonly failures: number } | undefined;
  /** Who is under way, or rests after it, while the server is down. */
  #probe: Place | undefined;
  /** Who waits, the longest waiting first. */
  readonly #line = new Set<Place>();
  #change = Promise.withResolvers<void>();
  /** How many requests it answered. */
  answers = 0;

  constructor(parts: ReceiverParts) {
    this.#parts = parts;
    parts.stopped.addEventListener("abort", () => this.#ring(), { once: true });
  }

  /** Whether this request may be made now. If not: when `changed` resolves, it is asked again. */
  mayTry(place: Place): boolean {
    if (this.#down === undefined) {
      this.#line.delete(place);
      return true;
    }
    this.#line.add(place);
    const [first] = this.#line;
    if (this.#probe !== undefined || first !== place) return false;
    this.#probe = place;
    return true;
  }

  /** Why nothing is taken; undefined when it is. */
  get why(): string | undefined {
    return this.#down?.why;
  }

  /** Resolves when somebody's request came back, and when the service stops. */
  get changed(): Promise<void> {
    return this.#change.promise;
  }

  /** A request was taken, or what is in it refused. */
  answered(place: Place): void {
    this.answers += 1;
    this.#line.delete(place);
    this.#probe = undefined;
    if (this.#down === undefined) return;
    if (this.#down.failures >= TROUBLE_AT) this.#parts.onTrouble(undefined);
    this.#down = undefined;
    this.#ring();
  }

  /**
   * A request failed, so often while others were taken; `isAlone`: others were since it failed before.
   * Resolves when it may ask for its turn again; rejects when the service stops.
   */
  async failed(
    place: Place,
    { why, failures, isAlone }: { why: string; failures: number; isAlone: boolean },
  ): Promise<void> {
    const { limits, stopped, random, onTrouble } = this.#parts;
    if (this.#down === undefined && isAlone) {
      // While it rests nobody waits behind it.
      this.#line.delete(place);
      await restUnless(stopped, pauseAfter(Math.max(1, failures), limits, random()));
      return;
    }
    // Those under way when the first one failed wait in line like those that come.
    if (this.#down !== undefined && this.#probe !== place) return;
    const inARow = (this.#down?.failures ?? 0) + 1;
    this.#down = { why, failures: inARow };
    this.#probe = place;
    this.#line.delete(place);
    this.#line.add(place);
    if (inARow >= TROUBLE_AT) onTrouble(why);
    this.#ring();
    await restUnless(stopped, pauseAfter(inARow, limits, random()));
    if (this.#probe === place) this.#probe = undefined;
    this.#ring();
  }

  /** It is given up: nobody waits for it. */
  leave(place: Place): void {
    this.#line.delete(place);
    if (this.#probe === place) this.#probe = undefined;
    this.#ring();
  }

  #ring(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
