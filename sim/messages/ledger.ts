/**
 * The checker of message flow: reads what senders heard and what devices hold at the end, and knows
 * nothing of how it came about. Promises 4 and 5, rules M1, M2 and M5.
 */
import type { Violation } from "../checkers/violation.ts";

export interface SentFact {
  readonly userId: string;
  readonly clientMessageId: string;
  readonly text: string;
  readonly startMs: number;
  /** When it was acknowledged; undefined: nobody knows whether it was taken. */
  readonly ackedMs: number | undefined;
}

export interface RecallFact {
  readonly sequence: number;
  /** undefined: it may have been taken, or not. */
  readonly ackedMs: number | undefined;
}

export interface RowFact {
  readonly sequence: number;
  readonly messageId: string;
  readonly senderId: string;
  readonly clientMessageId: string;
  readonly text: string;
  /** A notice or a recall: no message that anybody sent as such. */
  readonly isOfSystem: boolean;
  readonly shown: "whole" | "recalled" | "hidden";
}

export interface DeviceFact {
  readonly name: string;
  /** It came when others had confirmed already: what is above this sequence it must have. */
  readonly since: number;
  readonly rows: readonly RowFact[];
  readonly doubles: number;
  readonly toldTwice: readonly string[];
}

/** One conversation's life: a schedule. */
export interface Schedule {
  readonly conversationId: string;
  readonly sends: readonly SentFact[];
  readonly recalls: readonly RecallFact[];
  readonly devices: readonly DeviceFact[];
}

type Report = (checker: string, message: string) => void;

export function checkSchedule(schedule: Schedule): Violation[] {
  const found: Violation[] = [];
  const report: Report = (checker, message) =>
    found.push({ checker, key: schedule.conversationId, message });
  const sequences = checkOneOrder(schedule, report);
  checkEverybodyHasAll(schedule, report);
  checkOnce(schedule, report);
  checkDelivered(schedule, sequences, report);
  checkSendersOrder(schedule, sequences, report);
  checkRecalls(schedule, report);
  return found;
}

const nameOf = (sent: { senderId?: string; userId?: string; clientMessageId: string }) =>
  `${sent.senderId ?? sent.userId} ${sent.clientMessageId}`;

/** A sequence number is the same message everywhere (M2); resolves names to numbers. */
function checkOneOrder({ devices }: Schedule, report: Report): ReadonlyMap<string, number> {
  const ids = new Map<number, string>();
  const sequences = new Map<string, number>();
  for (const { name, rows } of devices) {
    for (const row of rows) {
      const { sequence, messageId } = row;
      const other = ids.get(sequence) ?? messageId;
      if (other !== messageId)
        report("one-order", `${name} has ${messageId} at ${sequence}, others have ${other}`);
      ids.set(sequence, other);
      if (row.isOfSystem) continue;
      const before = sequences.get(nameOf(row)) ?? sequence;
      if (before !== sequence)
        report("once", `${row.clientMessageId} stands at ${before} and at ${sequence}`);
      sequences.set(nameOf(row), before);
    }
  }
  return sequences;
}

/**
 * No gaps, and nobody lacks what another device has (promises 4 and 5), but what was taken back: who had
 * not had it never gets it.
 */
function checkEverybodyHasAll({ devices, recalls }: Schedule, report: Report): void {
  const isRecalled = new Set(recalls.map(({ sequence }) => sequence));
  const all = new Set(devices.flatMap(({ rows }) => rows.map(({ sequence }) => sequence)));
  const last = Math.max(0, ...all);
  for (let sequence = 1; sequence <= last; sequence++)
    if (!all.has(sequence) && !isRecalled.has(sequence))
      report("no-gap", `nobody has ${sequence}, somebody has ${last}`);
  for (const { name, rows, since } of devices) {
    const has = new Set(rows.map(({ sequence }) => sequence));
    const lacks = [...all].filter(
      (sequence) => sequence > since && !has.has(sequence) && !isRecalled.has(sequence),
    );
    if (lacks.length > 0) report("everybody", `${name} lacks ${lacks.join(", ")} of ${last}`);
  }
}

function checkOnce({ devices }: Schedule, report: Report): void {
  for (const { name, rows, doubles, toldTwice } of devices) {
    if (doubles > 0) report("once", `${name} refused ${doubles} doubles`);
    if (toldTwice.length > 0) report("once", `${name} was told twice of ${toldTwice.join(", ")}`);
    const ids = new Map<string, number>();
    for (const { messageId, sequence } of rows) {
      const before = ids.get(messageId) ?? sequence;
      if (before !== sequence) report("once", `${name}: ${messageId} at ${before} and ${sequence}`);
      ids.set(messageId, before);
    }
  }
}

/** What was acknowledged is there, as it was sent (promise 4). */
function checkDelivered(
  { sends, devices, recalls }: Schedule,
  sequences: ReadonlyMap<string, number>,
  report: Report,
): void {
  const texts = new Map(sends.map((sent) => [nameOf(sent), sent.text]));
  for (const sent of sends) {
    if (sent.ackedMs !== undefined && !sequences.has(nameOf(sent)))
      report("delivered", `${sent.clientMessageId} was acknowledged, and no device has it`);
  }
  const isRecalled = new Set(recalls.map(({ sequence }) => sequence));
  for (const { name, rows } of devices) {
    for (const row of rows) {
      if (row.isOfSystem) continue;
      const text = texts.get(nameOf(row));
      const isTakenBack = row.text === "" && isRecalled.has(row.sequence);
      if (text === undefined) report("delivered", `${name} has ${row.messageId}: nobody sent it`);
      else if (row.text !== text && !isTakenBack)
        report("delivered", `${name} reads "${row.text}" at ${row.sequence}, not "${text}"`);
    }
  }
}

/** Who heard of one message before sending the next has them in this order. */
function checkSendersOrder(
  { sends }: Schedule,
  sequences: ReadonlyMap<string, number>,
  report: Report,
): void {
  const acked = sends.filter((sent) => sent.ackedMs !== undefined && sequences.has(nameOf(sent)));
  for (const earlier of acked) {
    for (const later of acked) {
      if (earlier.ackedMs! >= later.startMs) continue;
      if (sequences.get(nameOf(earlier))! < sequences.get(nameOf(later))!) continue;
      report("real-time", `${later.clientMessageId} stands before ${earlier.clientMessageId}`);
    }
  }
}

/** A recall reaches every device, and nothing is taken back that nobody took back. */
function checkRecalls({ recalls, devices }: Schedule, report: Report): void {
  const tried = new Map(recalls.map((recall) => [recall.sequence, recall]));
  for (const { name, rows } of devices) {
    for (const { sequence, shown, isOfSystem } of rows) {
      const recall = tried.get(sequence);
      if (recall?.ackedMs !== undefined && shown === "whole")
        report("recall", `${name} still shows ${sequence}, which was taken back`);
      if (recall === undefined && shown === "recalled" && !isOfSystem)
        report("recall", `${name} shows ${sequence} as taken back, and nobody did that`);
    }
  }
}
