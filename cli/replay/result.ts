/** What a replay comes to: the figures, and the words for people. */
import type { LatencySummary } from "../ledger/histogram.ts";
import { countWrong, type LedgerCounts } from "../ledger/ledger.ts";

export interface ReplayResult {
  readonly messages: number;
  readonly deliveries: number;
  readonly missing: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly failedSends: number;
  readonly deliveriesPerSecond: number;
  readonly sendAckMs: LatencySummary;
  /** To devices that were online; not the ones that only send, nor the sender's own. */
  readonly deliveryMs: LatencySummary;
  /** Right message, wrong text; and rows that have no business where they are. */
  readonly altered: number;
  readonly foreign: number;
  readonly leftOut: number;
  readonly seconds: number;
}

/** What the process that replays knows; the rest comes from the ledger's. */
export interface ReplayMeasures {
  readonly failedSends: number;
  readonly leftOut: number;
  readonly sendAckMs: LatencySummary;
  readonly deliveryMs: LatencySummary;
  /** From the first send until every device had everything. */
  readonly seconds: number;
}

export function resultOf(counts: LedgerCounts, measures: ReplayMeasures): ReplayResult {
  const { failedSends, sendAckMs, deliveryMs, leftOut, seconds } = measures;
  const { messages, deliveries, missing, duplicates, outOfOrder, altered, foreign } = counts;
  return {
    messages,
    deliveries,
    missing,
    duplicates,
    outOfOrder,
    failedSends,
    deliveriesPerSecond: seconds > 0 ? Math.round(deliveries / seconds) : 0,
    sendAckMs,
    deliveryMs,
    altered,
    foreign,
    leftOut,
    seconds: Math.round(seconds * 10) / 10,
  };
}

export function isClean(result: ReplayResult): boolean {
  return countWrong({ ...result, unreadWrong: 0 }) + result.failedSends === 0;
}

export function describeResult(result: ReplayResult): string {
  const number = (value: number) => value.toLocaleString("en-US");
  const latency = ({ p50, p99, max }: LatencySummary) =>
    `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
  const { messages, deliveries, seconds } = result;
  const perSecond = seconds > 0 ? Math.round(messages / seconds) : 0;
  return [
    `messages      ${number(messages)} in ${seconds} s (${number(perSecond)}/s)`,
    `deliveries    ${number(deliveries)} (${number(result.deliveriesPerSecond)}/s)`,
    `left out      ${number(result.leftOut)} lines that are no message`,
    `send to ack   ${latency(result.sendAckMs)}`,
    `send to read  ${latency(result.deliveryMs)}`,
    `failed sends  ${number(result.failedSends)}`,
    `missing       ${number(result.missing)}`,
    `duplicates    ${number(result.duplicates)}`,
    `out of order  ${number(result.outOfOrder)}`,
    ...(result.altered > 0 ? [`altered       ${number(result.altered)}`] : []),
    ...(result.foreign > 0 ? [`foreign       ${number(result.foreign)}`] : []),
    isClean(result) ? "The ledger is clean." : "THE LEDGER IS NOT CLEAN.",
  ].join("\n");
}
