/**
 * The device's own sends, from when they are written down until their outcome is known.
 *
 * Whoever sends waits for a moment, then is told that nobody answered. The message itself stays open: the link
 * repeats it under its id, in the order of the device's sends, on every connection, for as long as the platform
 * would know it again. One that is refused for a moment comes after those behind it. Those to one recipient have a
 * share of the places, on the way and in all, and those to all recipients for whom nobody answers have one together,
 * which they use in turn: they hold up no others. What a run of the device leaves open the next one goes on with. The
 * tempting other way, to end the message with its caller's patience, loses what is typed in a tunnel, and reports as
 * failed what was taken.
 */
import {
  type SendReply,
  type SendRequest,
  Text,
} from "../protos/gen/tricampus/client/v1/text_codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { hasBug } from "../services/svrkit/planted.ts";
import { contentText } from "./device-lines.ts";
import type { Link } from "./link.ts";
import { Places } from "./places.ts";
import { Retry } from "./retry.ts";
import type { DeviceStore, Recipient, SendRecord } from "./store.ts";
import { startTicking, type Ticking } from "./ticker.ts";

const DAY_MS = 24 * 3_600_000;
/** The platform knows an id again for 7 days; one is left for clocks that are wrong. */
export const RESEND_FOR_MS = 6 * DAY_MS;
export const OPEN_SENDS_MAX = 500;
/** Fewer than the link's requests: the device also syncs. The others wait, those to one recipient in their order. */
const UNDER_WAY_MAX = 48;
/** For recipients for whom nobody answers, all together: of those that wait, and of those on the way. */
const SILENT_OPEN_MAX = OPEN_SENDS_MAX / 2;
const SILENT_UNDER_WAY_MAX = UNDER_WAY_MAX / 4;
/** However many they are, and however soon all fail: the platform takes only so many requests a second of one user. */
const SILENT_EVERY_MS = 50;
/** So many failures of a send, other than of the time that services have for it, say the same. */
const SILENT_FAILURES = 3;
/** A ticket that one answer refused and the connection does not may be good a moment later. */
const HOLD_MS = 30_000;
/** Clocks are adjusted by less than this all the time; by more when they are set, or the machine slept. */
const CLOCK_STEP_MS = 500;

export interface Sent {
  readonly clientMessageId: string;
  readonly messageId: string;
  readonly conversationId: string;
  /** 0: accepted by a group and not yet numbered. */
  readonly sequence: number;
  readonly sentAtMs: number;
  readonly ackedAtMs: number;
}

/** Nobody answered in time: the message may have been taken, and goes again by itself until there is an answer. */
export class UnansweredSend extends RpcError {
  readonly clientMessageId: string;
  /** Without what becomes of the message. */
  readonly reason: string;

  constructor(clientMessageId: string, waitedMs: number, last: RpcError | undefined) {
    const reason = `no answer in ${waitedMs} ms${last === undefined ? "" : ` (last: ${last.message})`}`;
    super("DEADLINE_EXCEEDED", `${reason}: the message stays open, and is sent again by itself`);
    this.name = "UnansweredSend";
    this.reason = reason;
    this.clientMessageId = clientMessageId;
  }
}

export interface OutboxParts {
  readonly link: Link;
  readonly store: DeviceStore;
  /** How long whoever sends waits. */
  readonly patienceMs: number;
  readonly resendForMs: number;
  /** The store has it. */
  acknowledged(send: SendRecord, reply: SendReply, ackedAtMs: number): void;
  /** The outcome of a send whose sender was told that nobody answered, or is an earlier run. */
  settledLate(send: SendRecord): void;
}

interface Waiter {
  readonly deadlineMs: number;
  readonly done: (sent: Sent) => void;
  readonly fail: (error: RpcError) => void;
}

interface OpenSend {
  readonly send: SendRecord;
  readonly waiters: Set<Waiter>;
  readonly givenUp: AbortController;
  /** As old as the send, not as what is under way, which may be taken back. */
  readonly retry: Retry;
  /** Those that are of the recipient. */
  failures: number;
  /** Ends what is under way, and leaves the message open; undefined: nothing is. */
  underWay: AbortController | undefined;
  lastError: RpcError | undefined;
}

export class Outbox implements Ticking {
  readonly #parts: OutboxParts;
  /** By client message id, oldest first. */
  readonly #open = new Map<string, OpenSend>();
  readonly #places = new Places(OPEN_SENDS_MAX, SILENT_OPEN_MAX);
  readonly #placesUnderWay = new Places(UNDER_WAY_MAX, SILENT_UNDER_WAY_MAX);
  /** The ticket was refused: nothing is sent before this, or the next ticket. Monotonic; 0: it is good. */
  #heldUntilMs = 0;
  /** When the next send to a recipient for whom nobody answers may begin. Monotonic. */
  #silentAtMs = 0;
  #isRestored = false;
  #stopTicking: (() => void) | undefined;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** What an earlier run of this device sent and heard nothing of; it goes with the next connection. */
  restore(): void {
    if (this.#isRestored) return;
    this.#isRestored = true;
    for (const send of this.#parts.store.openSends()) {
      const clientMessageId = `${send.clientMessageId}${hasBug("resend-as-new") ? "+" : ""}`;
      if (!this.#open.has(clientMessageId)) this.#add({ ...send, clientMessageId });
    }
  }

  /** There is a connection whose ticket is good: where it leads, all may be well. */
  attached(): void {
    this.#heldUntilMs = 0;
    for (const open of this.#open.values()) if (open.underWay === undefined) open.retry.endPause();
    this.#pump();
  }

  send(send: SendRecord): Promise<Sent> {
    const { clientMessageId } = send;
    const refusal = this.#parts.link.refusal ?? this.#refuse(send);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (!this.#open.has(clientMessageId)) {
      this.#parts.store.recordSend(send);
      this.#add(send);
    }
    const { waiters } = this.#open.get(clientMessageId)!;
    return new Promise((done, fail) => {
      waiters.add({ deadlineMs: performance.now() + this.#parts.patienceMs, done, fail });
      this.#pump();
    });
  }

  /** false: it is not open. */
  giveUp(clientMessageId: string): boolean {
    const open = this.#open.get(clientMessageId);
    if (open === undefined) return false;
    const error = new RpcError(
      "ABORTED",
      "the message was given up; it may have been taken before",
    );
    this.#end(open, error);
    return true;
  }

  /** What is open stays so in the store. */
  close(error: RpcError): void {
    for (const open of this.#open.values()) this.#tellWaiters(open, error);
    this.#open.clear();
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  }

  tick(nowMs: number): void {
    for (const open of this.#open.values()) {
      this.#endPatience(open, nowMs);
      if (this.#leftMs(open) <= 0) this.#end(open, tooOld());
    }
    const { state } = this.#parts.link;
    if (nowMs >= this.#heldUntilMs && state === "attached") this.#heldUntilMs = 0;
    // Whether to connect the application says: by connecting, sending or asking.
    if (state !== "idle") this.#pump();
  }

  /** Nor is it sent again if it is under way. */
  #end(open: OpenSend, error: RpcError): void {
    this.#failed(open, error);
    open.givenUp.abort();
  }

  #endPatience({ send, waiters, lastError }: OpenSend, nowMs: number): void {
    for (const waiter of waiters) {
      if (waiter.deadlineMs > nowMs) continue;
      waiters.delete(waiter);
      waiter.fail(new UnansweredSend(send.clientMessageId, this.#parts.patienceMs, lastError));
    }
  }

  #refuse(send: SendRecord): RpcError | undefined {
    const same = this.#open.get(send.clientMessageId)?.send;
    if (same !== undefined && bodyOf(same) !== bodyOf(send)) {
      const message = `"${send.clientMessageId}" is the id of another message, which is open`;
      return new RpcError("INVALID_ARGUMENT", message);
    }
    const name = nameOf(send.to);
    if (same !== undefined || this.#places.hasOneFor(name)) return undefined;
    const waiting = this.#places.areFull
      ? `${OPEN_SENDS_MAX} messages of this device`
      : `${this.#places.takenBy(name)} messages to this recipient`;
    const remedy = "this one is not sent; wait for one of them, or give one up";
    const message = `${waiting} wait for an answer, as many as may: ${remedy}`;
    return new RpcError("RESOURCE_EXHAUSTED", message);
  }

  #add(send: SendRecord): void {
    const ageMs = Math.max(0, Date.now() - send.sentAtMs);
    this.#open.set(send.clientMessageId, {
      ...{ send, waiters: new Set(), givenUp: new AbortController() },
      ...{ retry: new Retry(performance.now() - ageMs), failures: 0 },
      ...{ underWay: undefined, lastError: undefined },
    });
    this.#places.take(nameOf(send.to));
    this.#stopTicking ??= startTicking(this);
  }

  #leftMs({ send }: OpenSend): number {
    return send.sentAtMs + this.#parts.resendForMs - Date.now();
  }

  #pump(): void {
    if (this.#heldUntilMs > 0) return;
    const nowMs = performance.now();
    /** The link lets go of what is taken back at its next tick; what is behind it would come before it. */
    const withOneTakenBack = new Set<string>();
    for (const open of this.#inTurn()) {
      if (this.#placesUnderWay.areFull || !this.#parts.link.hasRoom) return;
      const name = nameOf(open.send.to);
      if (open.underWay?.signal.aborted) withOneTakenBack.add(name);
      if (open.underWay !== undefined || withOneTakenBack.has(name)) continue;
      if (nowMs < open.retry.atMs || this.#leftMs(open) <= 0) continue;
      if (this.#hasTurn(name, nowMs)) void this.#transmit(open);
    }
  }

  #hasTurn(name: string, nowMs: number): boolean {
    if (!this.#placesUnderWay.hasOneFor(name)) return false;
    if (!this.#placesUnderWay.silent.has(name)) return true;
    if (nowMs < this.#silentAtMs) return false;
    this.#silentAtMs = nowMs + SILENT_EVERY_MS;
    return true;
  }

  /** The oldest first; those to recipients for whom nobody answers behind all others, whose turn it is first. */
  *#inTurn(): Iterable<OpenSend> {
    const { silent } = this.#placesUnderWay;
    if (silent.size === 0) {
      yield* this.#open.values();
      return;
    }
    const waiting = new Map([...silent].map((name) => [name, [] as OpenSend[]]));
    for (const open of this.#open.values()) {
      const behind = waiting.get(nameOf(open.send.to));
      if (behind === undefined) yield open;
      else behind.push(open);
    }
    for (const opens of waiting.values()) yield* opens;
  }

  async #transmit(open: OpenSend): Promise<void> {
    const { clientMessageId, text, content, to } = open.send;
    const request = { clientMessageId, text, content, to: recipientOf(to), acceptedAtMs: 0 };
    const takenBack = new AbortController();
    open.underWay = takenBack;
    this.#placesUnderWay.take(nameOf(to));
    const signal = AbortSignal.any([open.givenUp.signal, takenBack.signal]);
    const options = {
      ...{ timeoutMs: this.#leftMs(open), untilKnown: true, signal, retry: open.retry },
      lateAfterMs: open.send.sentAtMs + this.#parts.patienceMs - Date.now(),
      retrying: (error: RpcError) => {
        // The link lets go of it at its next tick; until then it may hear of it.
        if (!signal.aborted) this.#failedForNow(open, error);
      },
    };
    await this.#parts.link.request(Text.send, request, options).then(
      (reply) => this.#acknowledged(open, reply),
      (error) => {
        if (!takenBack.signal.aborted) this.#notTaken(open, RpcError.from(error));
      },
    );
    open.underWay = undefined;
    if (!takenBack.signal.aborted) this.#placesUnderWay.giveBack(nameOf(to));
    this.#pump();
  }

  #failedForNow(open: OpenSend, error: RpcError): void {
    open.lastError = error;
    if (!isOfRecipient(error)) return;
    open.failures += 1;
    if (error.code === "DEADLINE_EXCEEDED" || open.failures >= SILENT_FAILURES)
      this.#silenced(nameOf(open.send.to));
  }

  /**
   * Nobody has answered for this recipient, to whom there are sends: what they have beyond the share of such
   * recipients is taken back, the newest first, or they would come out of their order.
   */
  #silenced(name: string): void {
    this.#places.silence(name);
    this.#placesUnderWay.silence(name);
    if (!this.#placesUnderWay.owesOne(name)) return;
    let newest: OpenSend | undefined;
    for (const open of this.#open.values()) {
      const isSent = open.underWay !== undefined && !open.underWay.signal.aborted;
      if (isSent && nameOf(open.send.to) === name) newest = open;
    }
    if (newest === undefined) return; // what is under way was given up
    newest.underWay?.abort();
    this.#placesUnderWay.giveBack(name);
  }

  #heard(name: string): void {
    this.#places.heard(name);
    this.#placesUnderWay.heard(name);
  }

  #acknowledged(open: OpenSend, reply: SendReply): void {
    const { clientMessageId, sentAtMs } = open.send;
    this.#heard(nameOf(open.send.to));
    // Given up and sent anew under the same id within a moment: that one has an answer of its own.
    if ((this.#open.get(clientMessageId) ?? open) !== open) return;
    const ackedAtMs = preciseNow();
    const outcome = { state: "acknowledged", atMs: ackedAtMs, ...reply } as const;
    this.#remove(open);
    try {
      this.#settled(open, { ...open.send, outcome });
      this.#parts.acknowledged(open.send, reply, ackedAtMs);
      for (const { done } of open.waiters) done({ clientMessageId, ...reply, sentAtMs, ackedAtMs });
    } catch (error) {
      this.#tellWaiters(open, RpcError.from(error)); // of the store, or the application
    }
  }

  #notTaken(open: OpenSend, error: RpcError): void {
    if (this.#open.get(open.send.clientMessageId) !== open) return;
    // No answer to the message itself: whether an earlier connection brought it, nobody knows.
    const isOfTicket = error.code === "UNAUTHENTICATED";
    if (isOfTicket) {
      open.lastError = error;
      this.#heldUntilMs = performance.now() + HOLD_MS;
    }
    if (isOfTicket || this.#parts.link.state === "closed") this.#tellWaiters(open, error);
    else {
      this.#heard(nameOf(open.send.to));
      this.#failed(open, error);
    }
  }

  #failed(open: OpenSend, error: RpcError): void {
    const { code } = error;
    this.#remove(open);
    try {
      this.#settled(open, {
        ...open.send,
        outcome: { state: "failed", atMs: preciseNow(), code },
      });
      this.#tellWaiters(open, error);
    } catch (cause) {
      this.#tellWaiters(open, RpcError.from(cause));
    }
  }

  #settled({ waiters }: OpenSend, send: SendRecord): void {
    this.#parts.store.recordSend(send);
    if (waiters.size === 0) this.#parts.settledLate(send);
  }

  #remove({ send }: OpenSend): void {
    const name = nameOf(send.to);
    // One that was given up may have an answer yet.
    if (this.#open.delete(send.clientMessageId)) this.#places.giveBack(name);
    if (this.#places.takenBy(name) === 0) this.#heard(name);
    if (this.#open.size > 0) return;
    this.#stopTicking?.();
    this.#stopTicking = undefined;
  }

  #tellWaiters({ waiters }: OpenSend, error: RpcError): void {
    for (const { fail } of waiters) fail(error);
    waiters.clear();
  }
}

/** And not of the platform as a whole, or of this device, which asks for too much. */
function isOfRecipient({ code }: RpcError): boolean {
  return code !== "OVERLOADED" && code !== "RESOURCE_EXHAUSTED";
}

function tooOld(): RpcError {
  return new RpcError("DEADLINE_EXCEEDED", "no answer for as long as the platform knows an id");
}

/** Content as it is encoded: a store gives its bytes back as another kind of array. */
function bodyOf({ to, text, content }: SendRecord): string {
  return JSON.stringify([to, text, content === undefined ? undefined : contentText(content)]);
}

/** One user may have two, with its id and by its name. */
function nameOf(to: Recipient): string {
  const { case: kind, value } = recipientOf(to);
  return `${kind} ${value}`;
}

function recipientOf(to: Recipient): NonNullable<SendRequest["to"]> {
  if ("userId" in to) return { case: "userId", value: to.userId };
  if ("groupId" in to) return { case: "groupId", value: to.groupId };
  return { case: "userName", value: to.userName };
}

let originMs = performance.timeOrigin;

/** Milliseconds since 1970, with fractions. As the clock says: `performance` stands still while a machine sleeps. */
export function preciseNow(): number {
  const nowMs = originMs + performance.now();
  const behindMs = Date.now() - nowMs;
  if (Math.abs(behindMs) < CLOCK_STEP_MS) return nowMs;
  originMs += behindMs;
  return nowMs + behindMs;
}
