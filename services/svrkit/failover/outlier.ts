/**
 * A replica that answers, and should not be asked: it fails call after call, or takes far longer than
 * calls of its kind do. It is left out for a while, twice as long each time, then one call probes
 * whether it is well again.
 *
 *   well -> out (5 failures or 3 late calls in a row) -> probing (one call) -> well
 *                  ^-------------------------------------- fails ----'
 *
 * Silence is another matter (peer.ts), and so is overload, which replicas tell by themselves.
 */
const FAILURES_MAX = 5;
const LATE_MAX = 3;
const OUT_FIRST_MS = 1_000;
const OUT_LAST_MS = 30_000;
/** A probe that has not come back for so long is given up for the next one. */
const PROBE_MS = 2_000;
/** Having been well for so long wipes the slate. */
const FORGIVEN_MS = 60_000;

type State =
  | { readonly state: "well" }
  | { readonly state: "out"; readonly untilMs: number }
  | { readonly state: "probing"; readonly untilMs: number };

const WELL: State = { state: "well" };

export class Outlier {
  #state: State = WELL;
  #failures = 0;
  #late = 0;
  /** How often in a row it was left out. */
  #times = 0;
  #wellSinceMs = 0;

  /** Left out: asked when no other can be. */
  get isOut(): boolean {
    return this.#state !== WELL;
  }

  /** A probe is due: the next call should go there first. */
  isDue(nowMs: number): boolean {
    return this.#state.state !== "well" && nowMs >= this.#state.untilMs;
  }

  /** A call goes there now: it is the probe, if one is due. */
  asked(nowMs: number): void {
    if (this.isDue(nowMs)) this.#state = { state: "probing", untilMs: nowMs + PROBE_MS };
  }

  get state(): State {
    return this.#state;
  }

  /** A call was answered in good time. */
  succeeded(nowMs: number): void {
    this.#failures = 0;
    this.#late = 0;
    if (this.#state.state === "probing") {
      this.#state = WELL;
      this.#wellSinceMs = nowMs;
    } else if (this.#times > 0 && this.#state === WELL && nowMs - this.#wellSinceMs > FORGIVEN_MS) {
      this.#times = 0;
    }
  }

  /** A call failed in a way that is the replica's own. */
  failed(nowMs: number): void {
    this.#failures += 1;
    if (this.#failures >= FAILURES_MAX || this.#state.state === "probing") this.#leaveOut(nowMs);
  }

  /** A call has not been answered for far longer than its kind takes. */
  late(nowMs: number): void {
    this.#late += 1;
    if (this.#late >= LATE_MAX || this.#state.state === "probing") this.#leaveOut(nowMs);
  }

  #leaveOut(nowMs: number): void {
    if (this.#state.state === "out") return;
    const forMs = Math.min(OUT_LAST_MS, OUT_FIRST_MS * 2 ** this.#times);
    this.#times = Math.min(this.#times + 1, 8);
    this.#failures = 0;
    this.#late = 0;
    this.#state = { state: "out", untilMs: nowMs + forMs };
  }
}
