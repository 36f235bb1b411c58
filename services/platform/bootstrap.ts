/**
 * The explicit first bootstrap of the store (S3) and of the queue's logs: a permit in the empty folder
 * of each, given once, when the platform's data folder is made. Whoever finds its folder empty later
 * has lost its memory, and does not vote.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE, REBUILD_FILE } from "../kvsvr/identity.ts";
import { LOG_BOOTSTRAP_FILE } from "../queuelog/identity.ts";
import type { PlatformConfig } from "./config.ts";
import { serviceDataDir } from "./layout.ts";
import type { ServiceName } from "./services.ts";

const PERMITS: readonly [ServiceName, string][] = [
  ["kvsvr", BOOTSTRAP_FILE],
  ["queuelog-1", LOG_BOOTSTRAP_FILE],
  ["queuelog-2", LOG_BOOTSTRAP_FILE],
];

export function permitBootstrap(config: PlatformConfig): void {
  for (const campus of config.campuses) {
    for (const [service, file] of PERMITS) {
      const dir = serviceDataDir(config.dataDir, campus, service);
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, file), "");
    }
  }
}

/**
 * The named human act that lets a replica of the store begin anew, as a new member of its group. Takes
 * effect when its process starts.
 */
export function permitRebuild(config: PlatformConfig, campus: string): void {
  const dir = serviceDataDir(config.dataDir, campus, "kvsvr");
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, REBUILD_FILE), "");
}
