/**
 * Sends the logs: all of them side by side, and within one the next line only after the previous one
 * was acknowledged, so that the order in which members must see them is known.
 */

import { Histogram } from "../ledger/histogram.ts";
import type { DeliveryWatch } from "./delivery-watch.ts";
import type { PlannedMessage, ReplayPlan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";

export interface Sender {
  /** Resolves when the platform has accepted the message; rejects when it failed to be sent. */
  send(user: number, groupId: string, message: PlannedMessage): Promise<void>;
}

export interface ConversationFacts {
  readonly sender: Sender;
  /** By the plan's groups. */
  readonly groupIds: readonly string[];
  readonly watch: DeliveryWatch;
  readonly timeline: Timeline;
  /** Spreads each log over so many seconds; 0: as fast as acknowledgements come. */
  readonly overSeconds: number;
  /** Called after every message with the share of all that are done. */
  readonly reached: (share: number) => void;
}

export class Conversations {
  readonly acknowledgements = new Histogram();
  readonly acknowledged: string[] = [];
  readonly failures: string[] = [];
  readonly total: number;
  readonly #plan: ReplayPlan;
  readonly #facts: ConversationFacts;

  constructor(plan: ReplayPlan, facts: ConversationFacts) {
    this.#plan = plan;
    this.#facts = facts;
    this.total = plan.groups.reduce((sum, group) => sum + group.messages.length, 0);
  }

  get done(): number {
    return this.acknowledged.length + this.failures.length;
  }

  async run(): Promise<void> {
    const startMs = performance.now();
    await Promise.all(this.#plan.groups.map((_, group) => this.#runLog(group, startMs)));
  }

  async #runLog(group: number, startMs: number): Promise<void> {
    const { messages } = this.#plan.groups[group]!;
    const everyMs = (this.#facts.overSeconds * 1_000) / messages.length;
    for (const [index, message] of messages.entries()) {
      const waitMs = startMs + everyMs * index - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await this.#send(group, message);
      this.#facts.reached(this.done / this.total);
    }
  }

  async #send(group: number, message: PlannedMessage): Promise<void> {
    const { sender, groupIds, watch, timeline } = this.#facts;
    const sentMs = performance.now();
    watch.sent(message.clientMessageId, sentMs);
    try {
      await sender.send(message.sender, groupIds[group]!, message);
      const nowMs = performance.now();
      this.acknowledgements.add(nowMs - sentMs);
      timeline.acknowledged(nowMs, nowMs - sentMs);
      this.acknowledged.push(message.clientMessageId);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      watch.failed(message.clientMessageId);
      this.failures.push(`${message.clientMessageId}: ${text}`);
      timeline.event(performance.now(), `a send failed: ${text}`);
    }
  }
}
