/**
 * A load's ledger, made of the devices' files alone: what senders logged there is what must have arrived
 * in the files of all the others.
 */
import { existsSync } from "node:fs";
import type { DeviceLine } from "../../sdk/device-lines.ts";
import { readDeviceFile } from "../../sdk/file-store.ts";
import { sendsIn } from "../../sdk/line-store.ts";
import type { SendRecord } from "../../sdk/store.ts";
import type { LedgerReport } from "../ledger/apart.ts";
import { Histogram, type LatencySummary } from "../ledger/histogram.ts";
import { Ledger, type LedgerMessage } from "../ledger/ledger.ts";
import { rowsOf } from "../ledger/stored-rows.ts";
import { deviceFile } from "../replay/files.ts";
import { dueOf } from "./plan.ts";
import { type PopulationFile, readPopulation } from "./population-file.ts";
import { readUnread } from "./unread-file.ts";

export interface LoadLedgerReport extends LedgerReport {
  /** From when a message was due until the last online device of its conversation had it. */
  readonly lastArrivalMs: LatencySummary;
}

interface Conversation {
  readonly members: readonly number[];
  readonly messages: LedgerMessage[];
  readonly isDirect?: true;
}

export function makeLoadLedger(storesDir: string): LoadLedgerReport {
  const population = readPopulation(storesDir);
  const { conversations, acknowledged } = readSends(storesDir, population);
  const ledger = new Ledger({ users: population.users, groups: conversations }, acknowledged);
  const lastArrivals = checkStores(ledger, storesDir, population);
  ledger.finish();
  const byName = new Map(population.users.map(({ name }, user) => [name, user]));
  for (const { user, device, shown } of readUnread(storesDir))
    ledger.checkUnread(byName.get(user)!, device, shown);
  const { counts, examples } = ledger;
  return { counts, examples, lastArrivalMs: lastArrivals.summary() };
}

/** What every device of every user sent, by conversation. */
function readSends(storesDir: string, population: PopulationFile) {
  const byUserId = new Map(population.users.map(({ userId }, user) => [userId, user]));
  const conversations = population.groups.map(({ members }): Conversation => {
    return { members, messages: [] };
  });
  const byKey = new Map(population.groups.map(({ groupId }, index) => [groupId, index]));
  const acknowledged = new Set<string>();
  const conversationOf = (sender: number, to: SendRecord["to"]): Conversation => {
    if ("groupId" in to) return conversations[byKey.get(to.groupId)!]!;
    const other = "userId" in to ? byUserId.get(to.userId)! : sender;
    const members = [Math.min(sender, other), Math.max(sender, other)];
    const key = members.join();
    if (!byKey.has(key))
      byKey.set(key, conversations.push({ members, messages: [], isDirect: true }) - 1);
    return conversations[byKey.get(key)!]!;
  };
  for (const [sender, { name, devices }] of population.users.entries()) {
    for (const device of devices) {
      for (const send of sendsIn(linesOf(deviceFile(storesDir, name, device)))) {
        const { clientMessageId, to, text, sentAtMs, outcome } = send;
        const isAcknowledged = outcome.state === "acknowledged";
        if (isAcknowledged) acknowledged.add(clientMessageId);
        const acknowledgedAtMs = isAcknowledged ? outcome.atMs : Number.POSITIVE_INFINITY;
        const times = { sentAtMs, acknowledgedAtMs };
        conversationOf(sender, to).messages.push({ clientMessageId, sender, text, times });
      }
    }
  }
  return { conversations, acknowledged };
}

function linesOf(path: string): DeviceLine[] {
  return existsSync(path) ? readDeviceFile(path) : [];
}

function checkStores(
  ledger: Ledger,
  storesDir: string,
  { users, online }: PopulationFile,
): Histogram {
  /** By client message id: when the last device so far had it, from when it was due. */
  const latest = new Map<string, number>();
  for (const [user, { name, devices }] of users.entries()) {
    for (const device of devices) {
      const lines = linesOf(deviceFile(storesDir, name, device));
      ledger.checkDevice(user, device, rowsOf(lines));
      if (user >= online) continue;
      for (const line of lines) {
        if (line.kind !== "message" || line.message.notice !== undefined) continue;
        const { clientMessageId, text, receivedAtMs } = line.message;
        const tookMs = receivedAtMs - dueOf(text);
        if (tookMs > (latest.get(clientMessageId) ?? 0)) latest.set(clientMessageId, tookMs);
      }
    }
  }
  const arrivals = new Histogram();
  for (const tookMs of latest.values()) arrivals.add(tookMs);
  return arrivals;
}
