/**
 * Watches messages arrive at the devices that are online: when each was sent, how long it took, and
 * what is still on its way. It serves the waiting and the latencies; what is proven is proven by the
 * ledger, from the stores.
 */
import { Histogram } from "./histogram.ts";
import type { ReplayPlan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";

interface SentMessage {
  readonly sender: number;
  /** 0 until it is sent. */
  sentAtMs: number;
}

export class DeliveryWatch {
  readonly latencies = new Histogram();
  readonly #timeline: Timeline;
  readonly #messages = new Map<string, SentMessage>();
  /** Arrivals still to come at online devices. */
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
        this.#messages.set(clientMessageId, { sender, sentAtMs: 0 });
      }
    }
  }

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
    this.#open -= 1;
    this.#lastArrivalMs = nowMs;
    this.#timeline.delivered(nowMs);
    if (message.sender !== user) this.latencies.add(nowMs - message.sentAtMs);
  }

  /** Messages that failed to be sent are not waited for. */
  givenUp(devices: number): void {
    this.#open -= devices;
  }
}
