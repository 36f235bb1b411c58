/**
 * The ledger as a process of its own, which shares nothing with the replay but its files: the logs
 * that were sent and the stores of the devices that received. It reads its task as JSON from stdin
 * and prints what it found as JSON.
 */
import { existsSync, readFileSync } from "node:fs";
import { readDeviceFile } from "../../sdk/file-store.ts";
import type { LedgerReport } from "../ledger/apart.ts";
import { Ledger } from "../ledger/ledger.ts";
import { rowsOf } from "../ledger/stored-rows.ts";
import { deviceFile, readChatLogs } from "./files.ts";
import { planReplay, type ReplayPlan } from "./plan.ts";

export interface LedgerTask {
  readonly run: string;
  readonly logPaths: readonly string[];
  /** Lines of each log; null: all. */
  readonly limit: number | null;
  readonly storesDir: string;
  /** File with the ids of the messages that must be there, one a line; the others count as failed sends. */
  readonly acknowledgedPath: string;
}

const task = JSON.parse(readFileSync(0, "utf8")) as LedgerTask;
console.log(JSON.stringify(makeLedger(task)));

function makeLedger({
  run,
  logPaths,
  limit,
  storesDir,
  acknowledgedPath,
}: LedgerTask): LedgerReport {
  const plan = planReplay(run, readChatLogs(logPaths), limit ?? Infinity);
  const acknowledged = new Set(readFileSync(acknowledgedPath, "utf8").split("\n").filter(Boolean));
  const ledger = new Ledger(plan, acknowledged);
  checkStores(ledger, plan, storesDir);
  ledger.finish();
  return { counts: ledger.counts, examples: ledger.examples };
}

function checkStores(ledger: Ledger, plan: ReplayPlan, storesDir: string): void {
  for (const [user, { name, devices }] of plan.users.entries()) {
    for (const device of devices) {
      const path = deviceFile(storesDir, name, device);
      if (existsSync(path)) ledger.checkDevice(user, device, rowsOf(readDeviceFile(path)));
    }
  }
}
