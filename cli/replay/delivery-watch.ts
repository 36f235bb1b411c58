/**
 * Watches messages arrive at the devices that are online: when each was sent, how long it took, and
 * what is still on its way. It serves the waiting and the latencies; what is proven is proven by the
 * ledger, from the stores.
 */
import { Histogram } from "../ledger/histogram.ts";
import type { ReplayPlan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";

interface SentMessage {
  readonly sender: number;
  /** 0 until it is sent. */
  sentAtMs: number;
  /** Arrivals at online devices still to come. */
  toCome: number;
}

export class DeliveryWatch {
  readonly latencies = new Histogram();
  readonly #timeline: Timeline;
  readonly #messages = new Map<string, SentMessage>();
  #open = 0;
  #lastArrivalMs = 0;

  constructor(plan: ReplayPlan, timeline: Timeline) {
    this.#timeline = timeline;
    for (const { members, messages } of plan.groups) {
      const devices = members
        .map((member) => plan.users[member]!)
        .reduce((sum, user) => sum + (user.onlySends ? 0 : user.devices.length), 0);
      this.#open += devices * messages.length;
      for (const { clientMessageId, sender } of messages) {
        this.#messages.set(clientMessageId, { sender, sentAtMs: 0, toCome: devices });
      }
    }
  }

  /** Arrivals at online devices still to come. */
  get open(): number {
    return this.#open;
  }

  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
  }

  sent(clientMessageId: string, nowMs: number): void {
    this.#messages.get(clientMessageId)!.sentAtMs = nowMs;
  }

  /** A message came in at one of `user`'s online devices. Its sender's own devices are no recipients. */
  arrived(user: number, clientMessageId: string, nowMs: number): void {
    const message = this.#messages.get(clientMessageId);
    if (message === undefined || message.sentAtMs === 0) return;
    if (message.toCome > 0) {
      message.toCome -= 1;
      this.#open -= 1;
    }
    this.#lastArrivalMs = nowMs;
    this.#timeline.delivered(nowMs);
    if (message.sender !== user) this.latencies.add(nowMs - message.sentAtMs);
  }

  /** A message that failed to be sent may still arrive, but is not waited for. */
  failed(clientMessageId: string): void {
    const message = this.#messages.get(clientMessageId)!;
    this.#open -= message.toCome;
    message.toCome = 0;
  }
}
