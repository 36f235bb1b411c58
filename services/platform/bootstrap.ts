/**
 * The explicit first bootstrap of the store (S3) and of the queue's logs: a permit in the empty folder
 * of each, given once, when the platform's data folder is made. Whoever finds its folder empty later
 * has lost its memory, and does not vote.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE, REBUILD_FILE } from "../kvsvr/identity.ts";
import { LOG_BOOTSTRAP_FILE } from "../queuelog/identity.ts";
import { LOG_REBUILD_FILE } from "../queuelog/rebuild.ts";
import type { PlatformConfig } from "./config.ts";
import { serviceDataDir } from "./layout.ts";
import { KV_GROUPS, QUEUE_LOGS, type QueueLogName, type ServiceName } from "./services.ts";

type Permit = readonly [ServiceName, string];

const PERMITS: readonly Permit[] = [
  ["kvsvr", BOOTSTRAP_FILE],
  ...QUEUE_LOGS.map((log): Permit => [log, LOG_BOOTSTRAP_FILE]),
];

export function permitBootstrap(config: PlatformConfig): void {
  permitAll(config, [...PERMITS, ...furtherGroups(config, 1)]);
}

/** The same for KV groups that are added: those above `before`. */
export function permitGroups(config: PlatformConfig, before: number): void {
  permitAll(config, furtherGroups(config, before));
}

function furtherGroups({ kvGroups }: PlatformConfig, before: number): Permit[] {
  return KV_GROUPS.slice(before, kvGroups).map((service) => [service, BOOTSTRAP_FILE]);
}

function permitAll(config: PlatformConfig, permits: readonly Permit[]): void {
  for (const campus of config.campuses) {
    for (const [service, file] of permits) {
      permit(serviceDataDir(config.dataDir, campus, service), file);
    }
  }
}

/**
 * The named human act that lets a replica of the store begin anew, as a new member of its group. Takes
 * effect when its process starts.
 */
export function permitRebuild(config: PlatformConfig, campus: string, group = 1): void {
  permit(serviceDataDir(config.dataDir, campus, KV_GROUPS[group - 1]!), REBUILD_FILE);
}

/** The same for one of the queue's logs. */
export function permitLogRebuild(config: PlatformConfig, campus: string, log: QueueLogName): void {
  permit(serviceDataDir(config.dataDir, campus, log), LOG_REBUILD_FILE);
}

function permit(dir: string, file: string): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, file), "");
}
