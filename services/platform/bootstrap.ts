/**
 * The explicit first bootstrap of the store (S3): a permit in each replica's empty folder, given once,
 * when the platform's data folder is made. A replica that finds its folder empty later has lost its
 * memory, and does not vote.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE } from "../kvsvr/identity.ts";
import type { PlatformConfig } from "./config.ts";
import { serviceDataDir } from "./layout.ts";

export function permitBootstrap(config: PlatformConfig): void {
  for (const campus of config.campuses) {
    const dir = serviceDataDir(config.dataDir, campus, "kvsvr");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, BOOTSTRAP_FILE), "");
  }
}
