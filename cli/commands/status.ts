/** `tricampus status`: every process, its health, and what the platform holds. */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { ControlTable, type ShownBlock } from "../../services/control/client.ts";
import { SlotsClient } from "../../services/control/slots-client.ts";
import type { CampusReport } from "../../services/platform/campus.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import { Shards } from "../../services/svrkit/failover/shards.ts";
import type { CommandDefinition } from "../command.ts";
import { Inspector, requirePlatform } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { groupOf } from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
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
    const platform = requirePlatform(call.dataDir);
    const status = await readStatus(platform);
    if (status.campuses.every((campus) => campus.state === "down")) {
      throw new Failure(EXIT.unreachable, "the platform is down: run `tricampus up`");
    }
    if (call.json) printJson(status);
    else printStatus(status);
    return EXIT.ok;
  },
};

export async function readStatus(platform: Platform): Promise<PlatformStatus> {
  const reports = await platform.reports();
  const reachable = reports.filter((report) => report.state === "running");
  const names = new Set(reachable.flatMap((report) => report.processes.map((p) => p.name)));
  const inspector = new Inspector(platform);
  try {
    const [statuses, blocks, registered, online] = await Promise.all([
      inspector.statuses(names),
      new ControlTable(inspector.callee("kvsvr")).blocks().catch(() => null),
      countAllRegistered(platform, inspector).catch(() => null),
      inspector
        .callee("router")
        .call(Router.count, {}, { timeoutMs: COUNT_TIMEOUT_MS })
        .then((reply) => reply.users)
        .catch(() => null),
    ]);
    return {
      campuses: reports.map(({ campus, state }) => ({ campus, state })),
      processes: reports.flatMap((report) => rowsOf(report, statuses)),
      blocks,
      users: { registered, online },
    };
  } finally {
    inspector.stop();
  }
}

function rowsOf(report: CampusReport, statuses: ReadonlyMap<string, StatusReply>): ProcessRow[] {
  return report.processes.map((process) => {
    const status = statuses.get(process.name);
    return {
      campus: report.campus,
      process: process.name,
      pid: report.state === "down" ? 0 : process.pid,
      health: healthOf(report, process.state, status),
      behind: monitorOf(status, "kvsvr.behind"),
      fsyncs: sumOf(monitorOf(status, "kvsvr.fsyncs"), monitorOf(status, "queuelog.fsyncs")),
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
async function countAllRegistered(platform: Platform, inspector: Inspector) {
  const { kvGroups } = platform.config;
  const shards = new Shards();
  if (kvGroups > 1) {
    const known = await new SlotsClient(inspector.callee("kvsvr")).shards();
    shards.set(known.shards, known.move);
  }
  let registered = 0;
  for (const [i, service] of KV_GROUPS.slice(0, kvGroups).entries()) {
    const isServed = (key: Key) => groupOf(shards, key) === i + 1;
    const count = await countRegistered(inspector.callee(service), isServed);
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

function printStatus({ campuses, processes, blocks, users }: PlatformStatus): void {
  const cell = (value: number | null) => (value === null ? "-" : String(value));
  const rows = processes.map((row) => [
    row.campus,
    row.process,
    row.pid === 0 ? "-" : String(row.pid),
    row.health,
    cell(row.behind),
    cell(row.fsyncs),
    String(row.restarts),
    row.uptimeMs === null ? "-" : `${Math.round(row.uptimeMs / 1000)} s`,
    row.trouble,
  ]);
  for (const { campus, state } of campuses) {
    if (!processes.some((row) => row.campus === campus)) rows.push([campus, "-", "-", state]);
  }
  const head = "campus process pid health behind fsyncs restarts uptime trouble".split(" ");
  console.log(formatTable(head, rows));
  for (const line of describeBlocks(blocks ?? [])) console.log(line);
  if (blocks === null) console.log("what is blocked: no replica of the store could say");
  console.log(`users: ${cell(users.registered)} registered, ${cell(users.online)} online`);
}
