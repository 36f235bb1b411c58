/**
 * When a connection counts as dead. Pure: time is an argument, milliseconds.
 *
 * With something asked and nothing heard for PING_AFTER_MS the other side is pinged, and given up
 * when it stays silent for DEAD_AFTER_MS more: a slow service does not kill a connection, because
 * the ping is answered by access itself. An idle connection is pinged now and then.
 */
export const PING_AFTER_MS = 300;
export const DEAD_AFTER_MS = 500;
const IDLE_PING_MS = 20_000;
const IDLE_DEAD_MS = 5_000;

export class Heartbeat {
  #asked = 0;
  /** When the other side was last heard, or first had reason to speak. */
  #quietSinceMs = 0;
  #pinged = false;

  reset(nowMs: number): void {
    this.#asked = 0;
    this.#quietSinceMs = nowMs;
    this.#pinged = false;
  }

  asked(nowMs: number): void {
    if (this.#asked === 0 && !this.#pinged) this.#quietSinceMs = nowMs;
    this.#asked += 1;
  }

  answered(): void {
    this.#asked = Math.max(0, this.#asked - 1);
  }

  heard(nowMs: number): void {
    this.#quietSinceMs = nowMs;
    this.#pinged = false;
  }

  /** `lateMs`: time in which this process could not have heard anything. */
  look(nowMs: number, lateMs: number): "fine" | "ping" | "dead" {
    this.#quietSinceMs += lateMs;
    const quietMs = nowMs - this.#quietSinceMs;
    const pingAfterMs = this.#asked > 0 ? PING_AFTER_MS : IDLE_PING_MS;
    const deadAfterMs = pingAfterMs + (this.#asked > 0 ? DEAD_AFTER_MS : IDLE_DEAD_MS);
    if (quietMs >= deadAfterMs && this.#pinged) return "dead";
    if (quietMs < pingAfterMs || this.#pinged) return "fine";
    this.#pinged = true;
    return "ping";
  }
}
