/**
 * When a connection counts as dead. Pure: time is an argument, milliseconds.
 *
 * With something asked and nothing heard for PING_AFTER_MS the other side is pinged, and given up
 * when it stays silent for DEAD_AFTER_MS more: a slow service does not kill a connection, because
 * the ping is answered by access itself. Nor does a slow network: access says that it gets a large frame, and
 * what has left this process tells less, for kernels take megabytes at once. An idle connection is pinged now and then.
 */
const PING_AFTER_MS = 300;
const DEAD_AFTER_MS = 500;
const IDLE_PING_MS = 20_000;
const IDLE_DEAD_MS = 5_000;

export class Heartbeat {
  #asked = 0;
  /** When the other side was last heard, or first had reason to speak. */
  #quietSinceMs = 0;
  #pingedAtMs: number | undefined;

  reset(nowMs: number): void {
    this.#asked = 0;
    this.heard(nowMs);
  }

  asked(nowMs: number): void {
    if (this.#asked === 0) this.#quietSinceMs = nowMs;
    this.#asked += 1;
  }

  answered(): void {
    this.#asked = Math.max(0, this.#asked - 1);
  }

  heard(nowMs: number): void {
    this.#quietSinceMs = nowMs;
    this.#pingedAtMs = undefined;
  }

  /** `lateMs`: time in which this process could not have heard anything. */
  look(nowMs: number, lateMs: number): "fine" | "ping" | "dead" {
    this.#quietSinceMs += lateMs;
    const isAsked = this.#asked > 0;
    if (this.#pingedAtMs !== undefined) {
      this.#pingedAtMs += lateMs;
      const sinceMs = Math.max(this.#pingedAtMs, this.#quietSinceMs);
      return nowMs - sinceMs >= (isAsked ? DEAD_AFTER_MS : IDLE_DEAD_MS) ? "dead" : "fine";
    }
    if (nowMs - this.#quietSinceMs < (isAsked ? PING_AFTER_MS : IDLE_PING_MS)) return "fine";
    this.#pingedAtMs = nowMs;
    return "ping";
  }
}
