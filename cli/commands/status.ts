/** `tricampus status`: every process, its health, and what the platform holds. */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { ControlTable, type ShownBlock } from "../../services/control/client.ts";
import type { CampusReport } from "../../services/platform/campus.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { Inspector, reach, requirePlatform } from "../connect.ts";
import { complain, EXIT, Failure } from "../failure.ts";
import { groupOf, groupsThatHold, readShards } from "../kv/groups.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import type { Reach } from "../reach.ts";
import { describeBlocks } from "./block.ts";

const COUNT_TIMEOUT_MS = 1_500;
const REGISTERED_PAGE = 5_000;
const REGISTERED_PAGES_MAX = 100;

interface ProcessRow {
  readonly campus: string;
  readonly process: string;
  readonly pid: number;
  readonly health: string;
  /** Versions this replica knows to be behind; null where there is none. */
  readonly behind: number | null;
  readonly fsyncs: number | null;
  /** Log records of its earlier runs that it has not taken in yet. */
  readonly unreplayed: number | null;
  readonly restarts: number;
  readonly uptimeMs: number | null;
  readonly trouble: string;
}

export interface PlatformStatus {
  readonly campuses: readonly { campus: string; state: string }[];
  readonly processes: readonly ProcessRow[];
  /** What is blocked now; null: nobody could say. */
  readonly blocks: readonly ShownBlock[] | null;
  /** null: nobody could say. */
  readonly users: { readonly registered: number | null; readonly online: number | null };
}

export const statusCommand: CommandDefinition = {
  name: "status",
  summary: "show every process: campus, pid, health, versions behind, fsyncs; blocks; users",
  run: async (call) => {
    const status =
      call.context === undefined
        ? await readStatus(requirePlatform(call.dataDir))
        : await readClusterStatus(call);
    if (status.campuses.every((campus) => campus.state === "down")) {
      throw new Failure(EXIT.unreachable, "the platform is down: run `tricampus up`");
    }
    if (call.json) printJson(status);
    else printStatus(status);
    const lacks = whatLacks(status.campuses);
    if (lacks === undefined) return EXIT.ok;
    complain(lacks);
    return EXIT.unreachable;
  },
};

/** How a campus that a person put into a state comes back; of the others status says what is wrong. */
const WAY_BACK: Readonly<Record<string, string>> = {
  down: "start",
  cut: "join",
  frozen: "thaw",
};

/** One line about campuses that do not serve; undefined: all of them do. */
export function whatLacks(campuses: PlatformStatus["campuses"]): string | undefined {
  const away = campuses.filter(({ state }) => state !== "running");
  if (away.length === 0) return undefined;
  const names = away.map(({ campus, state }) => `campus ${campus} is ${state}`).join(", ");
  const isQuorumThere = campuses.length - away.length > campuses.length / 2;
  const means = isQuorumThere
    ? "the others serve"
    : `${away.length} of ${campuses.length} campuses do not serve, so the store neither reads nor writes`;
  const ways = away.flatMap(({ campus, state }) => {
    const verb = WAY_BACK[state];
    return verb === undefined ? [] : [`\`tricampus campus ${verb} ${campus}\``];
  });
  return `${names}: ${means}${ways.length === 0 ? "" : `; run ${ways.join(" and ")}`}`;
}

export async function readStatus(platform: Platform): Promise<PlatformStatus> {
  const reports = await platform.reports();
  const reachable = reports.filter((report) => report.state === "running");
  const names = new Set(reachable.flatMap((report) => report.processes.map((p) => p.name)));
  const inspector = new Inspector(platform);
  try {
    const { statuses, ...held } = await ask(inspector, names);
    return {
      campuses: reports.map(({ campus, state }) => ({ campus, state })),
      processes: reports.flatMap((report) => rowsOf(report, statuses)),
      ...held,
    };
  } finally {
    inspector.stop();
  }
}

/** In a cluster the kubelets supervise: a process is what answers, or silent. */
async function readClusterStatus(call: CommandCall): Promise<PlatformStatus> {
  const reached = await reach(call);
  try {
    const names = new Set(reached.processes.map(({ name }) => name));
    const { statuses, ...held } = await ask(reached, names);
    const answers = (campus: string) =>
      reached.processes.some((process) => process.campus === campus && statuses.has(process.name));
    return {
      campuses: reached.campuses.map((campus) => {
        return { campus, state: answers(campus) ? "running" : "silent" };
      }),
      processes: doorsOf(reached, statuses).map(({ name, campus }): ProcessRow => {
        const status = statuses.get(name);
        return {
          campus,
          process: status?.process ?? name,
          pid: status?.pid ?? 0,
          health: status === undefined ? "silent" : status.unready === "" ? "ready" : "unready",
          ...countersIn(status),
          restarts: 0,
          uptimeMs: status?.uptimeMs ?? null,
          trouble: [status?.unready, status?.trouble].filter((text) => text).join("; "),
        };
      }),
      ...held,
    };
  } finally {
    reached.stop();
  }
}

/** One a process: some have a second door, by which the same one answers. */
function doorsOf({ processes }: Reach, statuses: ReadonlyMap<string, StatusReply>) {
  const seen = new Set<string>();
  return processes.filter(({ name }) => {
    const { process = name } = statuses.get(name) ?? {};
    if (seen.has(process)) return false;
    seen.add(process);
    return true;
  });
}

async function ask(reached: Reach, names: ReadonlySet<string>) {
  const [statuses, blocks, registered, online] = await Promise.all([
    reached.statuses(names),
    new ControlTable(reached.callee("kvsvr")).blocks().catch(() => null),
    countAllRegistered(reached).catch(() => null),
    reached
      .callee("router")
      .call(Router.count, {}, { timeoutMs: COUNT_TIMEOUT_MS })
      .then((reply) => reply.users)
      .catch(() => null),
  ]);
  return { statuses, blocks, users: { registered, online } };
}

function countersIn(
  status: StatusReply | undefined,
): Pick<ProcessRow, "behind" | "fsyncs" | "unreplayed"> {
  return {
    behind: monitorOf(status, "kvsvr.behind"),
    fsyncs: sumOf(monitorOf(status, "kvsvr.fsyncs"), monitorOf(status, "queuelog.fsyncs")),
    unreplayed: monitorOf(status, "kvsvr.unreplayed"),
  };
}

function rowsOf(report: CampusReport, statuses: ReadonlyMap<string, StatusReply>): ProcessRow[] {
  return report.processes.map((process) => {
    const status = statuses.get(process.name);
    return {
      campus: report.campus,
      process: process.name,
      pid: report.state === "down" ? 0 : process.pid,
      health: healthOf(report, process.state, status),
      ...countersIn(status),
      restarts: process.restarts,
      uptimeMs: status?.uptimeMs ?? null,
      trouble: status?.trouble ?? "",
    };
  });
}

/** What a person wants to know first: the campus's state wins over the process's. */
function healthOf(
  report: CampusReport,
  process: CampusReport["processes"][number]["state"],
  status: StatusReply | undefined,
): string {
  if (report.state !== "running") return report.state;
  if (process !== "ready") return process;
  if (status === undefined) return "silent";
  return status.trouble === "" ? "ok" : "trouble";
}

function monitorOf(status: StatusReply | undefined, name: string): number | null {
  return status?.monitors.find((monitor) => monitor.name === name)?.value ?? null;
}

function sumOf(one: number | null, other: number | null): number | null {
  return one === null && other === null ? null : (one ?? 0) + (other ?? 0);
}

/** Group by group, those that each serves. */
async function countAllRegistered(reached: Reach): Promise<number | null> {
  const shards = await readShards(reached);
  let registered = 0;
  for (const group of groupsThatHold(reached.kvGroups, shards)) {
    const isServed = (key: Key) => groupOf(shards, key) === group;
    const kvsvr = reached.callee(KV_GROUPS[group - 1]!);
    const count = await countRegistered(kvsvr, isServed);
    if (count === null) return null;
    registered += count;
  }
  return registered;
}

/** Counts the names in the account keyspace of one replica, page by page, up to a bound. */
async function countRegistered(
  kvsvr: Callee,
  isServed: (key: Key) => boolean,
): Promise<number | null> {
  let cursor: Uint8Array = Buffer.from([Keyspace.ACCOUNT, 0, 0]); // its first slot
  let names = 0;
  for (let page = 0; page < REGISTERED_PAGES_MAX; page++) {
    const request = { cursor, limit: REGISTERED_PAGE, epoch: 0 };
    const reply = await kvsvr.call(Replica.listVersions, request, { timeoutMs: COUNT_TIMEOUT_MS });
    if (reply.barred !== "") return null;
    const accounts = reply.versions.filter(({ key }) => key?.keyspace === Keyspace.ACCOUNT);
    names += accounts.filter(({ key }) => key && isName(key.key) && isServed(key)).length;
    if (reply.cursor.length === 0 || accounts.length < reply.versions.length) break;
    cursor = reply.cursor;
  }
  return names;
}

function isName(key: Uint8Array): boolean {
  return Buffer.from(key).toString("latin1").startsWith("name/");
}

/** What is wrong in each process alike, like a file of limits that cannot be used. */
function troubleOfAll(processes: readonly ProcessRow[]): string | undefined {
  const [first, ...others] = processes;
  if (first === undefined || others.length === 0 || first.trouble === "") return undefined;
  return others.every((row) => row.trouble === first.trouble) ? first.trouble : undefined;
}

/** Who serves, and has not taken in all of its log yet: its checkpoints wait for that. */
export function describeIntake(
  processes: readonly Pick<ProcessRow, "process" | "unreplayed">[],
): string[] {
  return processes
    .filter(({ unreplayed }) => (unreplayed ?? 0) > 0)
    .map(({ process, unreplayed }) => `${process}: ${unreplayed} records of its log to take in`);
}

function printStatus({ campuses, processes, blocks, users }: PlatformStatus): void {
  const cell = (value: number | null) => (value === null ? "-" : String(value));
  const shared = troubleOfAll(processes);
  const rows = processes.map((row) => [
    row.campus,
    row.process,
    row.pid === 0 ? "-" : String(row.pid),
    row.health,
    cell(row.behind),
    cell(row.fsyncs),
    String(row.restarts),
    row.uptimeMs === null ? "-" : `${Math.round(row.uptimeMs / 1000)} s`,
    row.trouble === shared ? "see below" : row.trouble,
  ]);
  for (const { campus, state } of campuses) {
    if (!processes.some((row) => row.campus === campus)) rows.push([campus, "-", "-", state]);
  }
  const head = "campus process pid health behind fsyncs restarts uptime trouble".split(" ");
  console.log(formatTable(head, rows));
  if (shared !== undefined) console.log(`every process: ${shared}`);
  for (const line of describeIntake(processes)) console.log(line);
  for (const line of describeBlocks(blocks ?? [])) console.log(line);
  if (blocks === null) console.log("what is blocked: no replica of the store could say");
  console.log(`users: ${cell(users.registered)} registered, ${cell(users.online)} online`);
}
