/** What a load comes to: the figures, and the words for people. */
import type { LatencySummary } from "../ledger/histogram.ts";
import { countWrong, type LedgerCounts } from "../ledger/ledger.ts";
import { formatTable } from "../output/table.ts";
import type { LoadOutcome } from "./load.ts";
import type { Profile } from "./profile.ts";
import { bestRate, type SearchStep } from "./search.ts";
import type { ArrivalsEnd } from "./settle.ts";
import type { ProcessUse } from "./usage.ts";

interface Comings extends LatencySummary {
  readonly count: number;
}

/** What was waited for at the end, and waited for no longer. */
interface Unsettled {
  /** Sends without an outcome that were given up: the ledger does not ask for them. */
  readonly sends: number;
  /** Syncs that ended before an own message that was on its way. */
  readonly syncs: number;
  /** How waiting for arrivals ended. */
  readonly arrivals: ArrivalsEnd;
}

export interface LoadResult {
  readonly profile: string;
  readonly factor: number;
  readonly online: number;
  readonly offline: number;
  readonly seconds: number;
  readonly offeredPerSecond: number;
  readonly acknowledged: number;
  readonly failed: number;
  readonly acknowledgedPerSecond: number;
  /** From the time at which a message was due. */
  readonly sendAckMs: LatencySummary;
  /** From then to each online device that is not the sender's. */
  readonly deliveryMs: LatencySummary;
  /** From then until the last online device had it. */
  readonly lastArrivalMs: LatencySummary | null;
  readonly deliveries: number;
  readonly reconnects: Comings;
  readonly logins: Comings;
  /** Of those that were offline: from connecting until everything was there. */
  readonly backlogSyncs: Comings;
  /** How late the generators were, at most: more than a few ms belong to them, not to the platform. */
  readonly generatorLateMs: number;
  readonly unsettled: Unsettled;
  readonly ledger: LedgerCounts | null;
  /** Of all the platform's processes; null: they run elsewhere, or nothing was sent. */
  readonly cpuUsPerMessage: number | null;
  readonly quorumWritesPerMessage: number | null;
  readonly processes: readonly ProcessUse[];
  readonly search: readonly SearchStep[];
  /** Of a search: the highest rate that was carried. */
  readonly balancePerSecond: number | null;
}

export function resultOf(
  { meter, seconds, use, search, arrivals, ledger }: LoadOutcome,
  { profile, factor }: { profile: Profile; factor: number },
): LoadResult {
  const { run } = meter;
  const acknowledged = run.acknowledgements.count;
  const perMessage = (total: number | undefined, digits: number) =>
    total === undefined || acknowledged === 0
      ? null
      : Math.round((total / acknowledged) * digits) / digits;
  return {
    ...{ profile: profile.name, factor, online: profile.online, offline: profile.offline },
    seconds: Math.round(seconds * 10) / 10,
    offeredPerSecond: Math.round(profile.sendsPerSecond * 10) / 10,
    ...{ acknowledged, failed: run.failed },
    acknowledgedPerSecond: Math.round((acknowledged / seconds) * 10) / 10,
    sendAckMs: run.acknowledgements.summary(),
    deliveryMs: run.deliveries.summary(),
    lastArrivalMs: ledger?.lastArrivalMs ?? null,
    deliveries: run.arrived,
    reconnects: { count: run.reconnects.count, ...run.reconnects.summary() },
    logins: { count: run.logins.count, ...run.logins.summary() },
    backlogSyncs: { count: run.syncs.count, ...run.syncs.summary() },
    generatorLateMs: Math.round(run.lateMs),
    unsettled: { sends: run.givenUp, syncs: run.syncsBehind, arrivals },
    ledger: ledger?.counts ?? null,
    cpuUsPerMessage: perMessage(use?.platformCpuUs, 1),
    quorumWritesPerMessage: perMessage(use?.quorumWrites, 100),
    processes: use?.processes ?? [],
    search,
    balancePerSecond: search.length === 0 ? null : bestRate(search),
  };
}

export function isClean({ ledger, failed, search }: LoadResult): boolean {
  // A search goes on until something breaks: what was refused there was asked for.
  const unasked = search.length === 0 ? failed : 0;
  return (ledger === null ? 0 : countWrong(ledger)) + unasked === 0;
}

const number = (value: number) => value.toLocaleString("en-US");
const latency = ({ p50, p99, max }: LatencySummary) =>
  `p50 ${number(p50)} ms, p99 ${number(p99)} ms, max ${number(max)} ms`;

export function describeResult(result: LoadResult): string {
  const { profile, factor, online, offline, seconds, reconnects, logins, backlogSyncs } = result;
  const others = offline > 0 ? `, ${number(offline)} offline` : "";
  const comings = ({ count, ...times }: Comings) => `${number(count)}: ${latency(times)}`;
  const line = (head: string, text: string) => `${head.padEnd(18)}${text}`;
  return [
    line("profile", `${profile} x ${factor}: ${number(online)} online${others}, ${seconds} s`),
    ...(result.acknowledged + result.failed > 0 ? describeSends(result, line) : []),
    ...(reconnects.count > 0 ? [line("came back", comings(reconnects))] : []),
    ...(logins.count > 0 ? [line("logged in", comings(logins))] : []),
    ...(backlogSyncs.count > 0 ? [line("backlog synced", comings(backlogSyncs))] : []),
    line("generators", `at most ${number(result.generatorLateMs)} ms late`),
    ...describeSearch(result),
    ...describeUse(result),
    ...describeUnsettled(result),
    ...describeLedger(result),
  ].join("\n");
}

function describeSends(result: LoadResult, line: (head: string, text: string) => string): string[] {
  const { cpuUsPerMessage, quorumWritesPerMessage, lastArrivalMs } = result;
  const cost = `${cpuUsPerMessage} us of CPU, ${quorumWritesPerMessage} quorum writes`;
  const rates = `${number(result.offeredPerSecond)}/s, ${number(result.acknowledgedPerSecond)}/s`;
  return [
    line("offered, taken", `${rates}: ${number(result.acknowledged)} acknowledged`),
    line("failed", number(result.failed)),
    line("due to ack", latency(result.sendAckMs)),
    line("due to read", latency(result.deliveryMs)),
    ...(lastArrivalMs === null ? [] : [line("due to last read", latency(lastArrivalMs))]),
    line("deliveries", number(result.deliveries)),
    ...(cpuUsPerMessage === null ? [] : [line("a message costs", cost)]),
  ];
}

function describeSearch({ search, balancePerSecond }: LoadResult): string[] {
  if (search.length === 0) return [];
  const rows = search.map((step) => [
    ...[number(step.sendsPerSecond), number(step.acknowledgedPerSecond)],
    ...[String(step.p99Ms), String(step.failed), step.isGood ? "carried" : "too much"],
  ]);
  const table = formatTable(["offered/s", "taken/s", "p99 ms", "failed", ""], rows);
  return [table, `balance point: ${number(balancePerSecond ?? 0)} sends/s`];
}

function describeUse({ processes }: LoadResult): string[] {
  if (processes.length === 0) return [];
  const rows = processes.map(({ name, cpuPercent, rssMib, grownMib }) => [
    ...[name, `${cpuPercent} %`, `${number(rssMib)} MiB`, `${grownMib} MiB`],
  ]);
  return [formatTable(["process", "CPU", "memory", "grown by"], rows)];
}

const ARRIVALS: Readonly<Record<ArrivalsEnd, string | undefined>> = {
  all: undefined,
  short: "fewer messages arrived by themselves than were expected, then nothing for 60 s",
  coming: "messages still arrived after 10 minutes, and were waited for no longer",
};

/** The ledger is made all the same: whoever reads it knows by this what a finding may come from. */
function describeUnsettled({ unsettled: { sends, syncs, arrivals } }: LoadResult): string[] {
  const said = [
    sends > 0 && `${number(sends)} sends without an answer were given up: they are not required`,
    syncs > 0 && `${number(syncs)} syncs ended before an own message without a number, after 30 s`,
    ARRIVALS[arrivals],
  ];
  return said.filter((words) => typeof words === "string").map((words) => `not settled: ${words}`);
}

function describeLedger({ ledger, ...result }: LoadResult): string[] {
  if (ledger === null) return [];
  const { messages, deliveries, missing, duplicates, outOfOrder, altered, foreign } = ledger;
  const wrong = Object.entries({ missing, duplicates, outOfOrder, altered, foreign })
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
  return [
    `ledger: ${number(messages)} messages, ${number(deliveries)} rows on devices; ${wrong}, ` +
      `${ledger.unreadWrong} unread counts wrong`,
    isClean({ ledger, ...result }) ? "The ledger is clean." : "THE LEDGER IS NOT CLEAN.",
  ];
}
