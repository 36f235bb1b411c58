/** What the benchmark prints: tables, the goals, and one JSON line. */
import type { Etcd, EtcdFailover, EtcdPhase } from "./etcd.ts";
import type { Failover, Ours, Phase, Phases } from "./ours.ts";

interface Goal {
  readonly goal: string;
  readonly wanted: string;
  readonly measured: number | undefined;
  /** undefined: not measured in this run. */
  readonly isMet: boolean | undefined;
}

export function printReport(ours: Ours, etcd: Etcd | undefined): void {
  console.log(`ours: ${ours.fillPerSecond} first writes of a key a second`);
  printPhases(ours.phases);
  console.log("what the replicas count, an operation: all three together");
  console.table(each(ours.phases, countsOf));
  const { diskBytesPerPayloadByte: all, logBytesPerPayloadByte: log } = ours;
  console.log(`a replica wrote ${all} bytes by payload byte, ${log} of them to its log`);
  for (const [name, phase] of Object.entries(ours.phases))
    console.log(`${name}: the slowest took ${phase.maxMs} ms; ${phase.slowestBecause}`);
  if (ours.failover !== undefined) {
    console.log("ours: one replica killed at half load");
    console.table([failoverOf(ours.failover)]);
    console.log(`the slowest took ${ours.failover.maxMs} ms; ${ours.failover.slowestBecause}`);
  }
  if (etcd !== undefined) {
    console.log(`etcd ${etcd.version}: three nodes, default settings`);
    printPhases(etcd.phases);
    if (etcd.failover !== undefined) {
      console.log("etcd: its leader killed at half load");
      console.table([failoverOf(etcd.failover)]);
    }
  }
  const ratio = ratioOf(ours, etcd);
  console.table(goalsOf(ours, etcd, ratio));
  const { failed, worstMs } = ours.failover ?? {};
  const failover = ours.failover === undefined ? null : { failed, worstMs };
  const etcdVersion = etcd?.version ?? null;
  console.log(JSON.stringify({ ours, etcd: etcd ?? null, ratio, failover, etcdVersion }));
}

type AnyPhase = Phase | EtcdPhase;

function printPhases(phases: Phases<AnyPhase>): void {
  console.table(
    each<AnyPhase, object>(phases, (phase) => {
      const { perSecond, failed, p50Ms, p99Ms, p999Ms, p9999Ms, maxMs } = phase;
      const { cpuUsPerOperation: cpuUs, diskBytesPerOperation: diskBytes } = phase;
      return { perSecond, failed, p50Ms, p99Ms, p999Ms, p9999Ms, maxMs, cpuUs, diskBytes };
    }),
  );
}

function each<P, R>(phases: Phases<P>, columns: (phase: P) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(phases).map(([name, phase]) => [name, columns(phase)]));
}

function countsOf(phase: Phase): object {
  return {
    logBytes: phase.logBytesPerOperation,
    fsyncs: phase.fsyncsPerOperation,
    syncedRecords: phase.syncedRecordsPerOperation,
    versionQueries: phase.versionQueriesPerOperation,
    versionsTold: phase.versionsToldPerOperation,
    checkpoints: phase.checkpoints,
    hedges: phase.hedges,
  };
}

function failoverOf(failover: Failover | EtcdFailover): object {
  const { ratePerSecond, operations, failed, retried, p50Ms, p99Ms, worstMs } = failover;
  return { ratePerSecond, operations, failed, retried, p50Ms, p99Ms, worstMs };
}

interface Ratio {
  readonly put256: number | null;
  readonly put1000: number | null;
  readonly get256: number | null;
}

/** Our rate over etcd's; null when one of them was not measured. */
function ratioOf(ours: Ours, etcd: Etcd | undefined): Ratio {
  const of = (phase: keyof Ratio) =>
    quotient(ours.phases[phase]?.perSecond, etcd?.phases[phase]?.perSecond) ?? null;
  return { put256: of("put256"), put1000: of("put1000"), get256: of("get256") };
}

function goalsOf(ours: Ours, etcd: Etcd | undefined, ratio: Ratio): Goal[] {
  const { put256, put1000, change, wideChange } = ours.phases;
  const theirs = etcd?.phases.put1000?.p99Ms;
  const ofPut = (rate: number | undefined) => quotient(rate, put256?.perSecond);
  return [
    atLeast("puts at 256 in flight, x etcd", 3, ratio.put256 ?? undefined),
    atLeast("puts at 1,000 in flight, x etcd", 4, ratio.put1000 ?? undefined),
    atMost("put p99 at 1,000 in flight, of etcd's", 1, quotient(put1000?.p99Ms, theirs)),
    atLeast("gets at 256 in flight, x etcd", 2.5, ratio.get256 ?? undefined),
    atLeast("10-row changes, x puts, same bytes", 0.5, ofPut(change?.perSecond)),
    atLeast("10-row changes, x puts, ten times the bytes", 0.5, ofPut(wideChange?.perSecond)),
    atMost("put p99.99 at 256 in flight, ms", 250, put256?.p9999Ms),
    atMost("disk bytes a replica, by payload byte", 4, ours.diskBytesPerPayloadByte),
    atMost("failed operations at the kill", 0, ours.failover?.failed),
    atMost("worst latency at the kill, ms", 500, ours.failover?.worstMs),
  ];
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined || b === 0) return undefined;
  return Math.round((a / b) * 100) / 100;
}

function atLeast(goal: string, least: number, measured: number | undefined): Goal {
  const isMet = measured === undefined ? undefined : measured >= least;
  return { goal, wanted: `>= ${least}`, measured, isMet };
}

function atMost(goal: string, most: number, measured: number | undefined): Goal {
  const isMet = measured === undefined ? undefined : measured <= most;
  return { goal, wanted: `<= ${most}`, measured, isMet };
}
