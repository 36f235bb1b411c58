/**
 * One replica of a callee as a caller sees it: a connection that is made when first needed, kept,
 * and made again after it ended.
 *
 *   idle -> connecting -> ready -> (ended, silent, going away) -> resting -> connecting ...
 *
 * Resting lasts 50 ms to 1 s, doubled at each failure and jittered. A peer that is not `usable` is
 * tried last. With calls open, a peer that sends nothing for a while although it was pinged is suspected:
 * what it has not answered is asked elsewhere too, until it speaks again. Silent for longer, it loses its
 * connection. How long, see patience.ts.
 */
import { monotonicMs } from "../call.ts";
import { RpcError } from "../errors.ts";
import {
  CONNECT_TIMEOUT_MS,
  PING_AFTER_MS,
  RECONNECT_FIRST_MS,
  RECONNECT_LAST_MS,
} from "../limits.ts";
import type { ServerIdentity } from "../server.ts";
import { Session } from "../transport/session.ts";
import type { Wire } from "../transport/wire.ts";
import { Patience } from "./patience.ts";

export interface PeerAddress {
  readonly campus: string;
  /** How to reach it; rejects when it cannot be reached in time. */
  readonly dial: (timeoutMs: number) => Promise<Wire>;
  /** For messages: "b at 127.0.0.1:7201". */
  readonly label: string;
}

type State =
  | { state: "idle" }
  | { state: "connecting"; session: Promise<Session> }
  | { state: "ready"; session: Session }
  | { state: "resting"; untilMs: number; reason: string };

export class Peer {
  readonly address: PeerAddress;
  readonly #identity: ServerIdentity;
  #state: State = { state: "idle" };
  #failures = 0;
  /** The open session is silent. */
  #isSuspect = false;
  #stopped = false;
  /** Sessions of a peer that drains: no new calls, those under way are still watched. */
  readonly #leaving = new Set<Session>();
  readonly #patience = new Patience();
  /** Services that are called there. */
  readonly #services = new Set<string>();

  /** Told before a call is made: from now on the peer must be watched. */
  readonly onBusy: () => void;

  constructor(address: PeerAddress, identity: ServerIdentity, onBusy: () => void) {
    this.address = address;
    this.#identity = identity;
    this.onBusy = onBusy;
  }

  /** A service is going to be called there: the peer must prove to be it. */
  expect(service: string): void {
    this.#services.add(service);
    const session = this.ready;
    const reason = session && this.#impostor(session.proved);
    if (reason !== undefined) session!.close(reason);
  }

  /** Why calls must not go there; undefined when they may. */
  #impostor(proved: ReadonlySet<string> | undefined): string | undefined {
    if (proved === undefined) return undefined;
    const missing = [...this.#services].filter((service) => !proved.has(service));
    if (missing.length === 0) return undefined;
    const names = [...proved].join(", ") || "no service";
    return `its certificate names ${names}, and not ${missing.join(", ")}`;
  }

  /** Calls are open, or the peer is looked for: `watch` has something to do. */
  get needsWatch(): boolean {
    if (this.#leaving.size > 0) return true;
    const session = this.ready;
    if (session === undefined) return this.#state.state !== "idle";
    return session.unanswered > 0 || this.#isSuspect;
  }

  get campus(): string {
    return this.address.campus;
  }

  /** Worth trying first: connected, or not known to be down. */
  get usable(): boolean {
    return this.#state.state !== "resting" && this.#failures === 0 && !this.#isSuspect;
  }

  /** The open session, when there is one right now. */
  get ready(): Session | undefined {
    return this.#state.state === "ready" ? this.#state.session : undefined;
  }

  /** An open session; throws UNAVAILABLE at once while the peer rests after a failure. */
  session(): Promise<Session> {
    const s = this.#state;
    if (s.state === "ready") return Promise.resolve(s.session);
    if (s.state === "connecting") return s.session;
    if (this.#stopped) return Promise.reject(new RpcError("UNAVAILABLE", "this client is stopped"));
    if (s.state === "resting" && monotonicMs() < s.untilMs) {
      return Promise.reject(new RpcError("UNAVAILABLE", `${this.address.label}: ${s.reason}`));
    }
    const session = this.#connect();
    this.#state = { state: "connecting", session };
    return session;
  }

  async #connect(): Promise<Session> {
    try {
      const wire = await this.address.dial(CONNECT_TIMEOUT_MS);
      const session = await this.#hello(wire);
      if (this.#stopped) {
        session.close("this client is stopped");
        throw new RpcError("UNAVAILABLE", "this client is stopped");
      }
      this.#state = { state: "ready", session };
      this.#failures = 0;
      this.#isSuspect = false;
      return session;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#rest(reason);
      throw new RpcError("UNAVAILABLE", `${this.address.label}: ${reason}`, { cause: error });
    }
  }

  #hello(wire: Wire): Promise<Session> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => session.close("no Hello in time"), CONNECT_TIMEOUT_MS);
      const session: Session = new Session(wire, this.#identity, {
        opened: () => {
          clearTimeout(timer);
          const reason = this.#impostor(session.proved);
          if (reason === undefined) resolve(session);
          else session.close(reason);
        },
        goingAway: () => this.#leave(session),
        late: (quietMs) => {
          this.#patience.silenceEnded(quietMs, monotonicMs());
          if (this.ready === session) this.#isSuspect = false;
        },
        closed: (reason) => {
          clearTimeout(timer);
          reject(new Error(reason));
          this.#leaving.delete(session);
          if (this.ready === session) this.#rest(reason);
        },
      });
    });
  }

  /** The peer drains: calls under way finish on the old session, new ones go elsewhere. */
  #leave(session: Session): void {
    if (this.ready !== session) return;
    this.#leaving.add(session);
    this.#rest("it is stopping");
  }

  #rest(reason: string): void {
    const pauseMs = Math.min(RECONNECT_LAST_MS, RECONNECT_FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#isSuspect = false;
    const untilMs = monotonicMs() + pauseMs * (0.5 + Math.random() / 2);
    this.#state = { state: "resting", untilMs, reason };
    if (!this.#stopped) this.onBusy();
  }

  /** Called every WATCH_INTERVAL_MS; `loopLateMs` is how late this process itself is. */
  watch(nowMs: number, loopLateMs: number): void {
    const session = this.ready;
    if (session === undefined) this.#probe(nowMs);
    else this.#watchSession(session, nowMs, loopLateMs);
    for (const leaving of this.#leaving) {
      this.#watchSession(leaving, nowMs, loopLateMs);
      if (leaving.unanswered === 0) leaving.close("its calls are answered");
    }
  }

  #watchSession(session: Session, nowMs: number, loopLateMs: number): void {
    if (session.unanswered === 0 && !this.#isSuspect) return;
    session.expire(nowMs, loopLateMs);
    // When our own loop was stuck, the peer's bytes may be waiting unread: that is not silence.
    if (loopLateMs > 0) session.lastHeardMs += loopLateMs;
    const quietMs = nowMs - session.lastHeardMs;
    if (quietMs < PING_AFTER_MS) return;
    if (quietMs >= this.#patience.giveUpMs(nowMs)) {
      this.#patience.silenceEnded(quietMs, nowMs);
      session.close(`silent for ${Math.round(quietMs)} ms`);
      return;
    }
    session.ping();
    if (quietMs < this.#patience.suspectMs(nowMs)) return;
    if (this.ready === session) this.#isSuspect = true;
    session.linger();
  }

  /** A peer that was lost is looked for in the background, so that no call pays for finding out. */
  #probe(nowMs: number): void {
    if (this.#state.state === "resting" && nowMs >= this.#state.untilMs && !this.#stopped) {
      this.session().catch(() => {}); // #connect has put the reason into the state
    }
  }

  stop(): void {
    this.#stopped = true;
    this.ready?.close("this client is stopped");
    for (const leaving of this.#leaving) leaving.close("this client is stopped");
  }
}
