/**
 * What whoever placed this pod permits the folders in it (S3). Losing a disk is losing the right to
 * vote, so an empty folder becomes a disk only at the group's first bootstrap, or as a new member by a
 * named human act. A permit acts on what it was given for and once: a folder that holds anything is
 * not bootstrapped, and a token is written down before it is used again.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE, REBUILD_FILE } from "../../kvsvr/identity.ts";
import { LOG_BOOTSTRAP_FILE } from "../../queuelog/identity.ts";
import { systemTextFiles } from "../../svrkit/text-files.ts";
import { checkedAgainst } from "../checked.ts";
import type { ProcessConfig } from "../process-config.ts";
import { permitsSchema } from "./files.ts";

/** Beside a service's folder, since what lies in the folder is set aside by a rebuild. */
const usedTokenFile = (dataDir: string) => `${dataDir}.rebuild-token`;

/** Carries out what `path` permits; without such a file nothing is. */
export function applyPermits(path: string, config: ProcessConfig): void {
  if (!existsSync(path)) return;
  const permits = checkedAgainst(permitsSchema, JSON.parse(readFileSync(path, "utf8")), path);
  for (const { name, dataDir } of config.services) {
    mkdirSync(dataDir, { recursive: true });
    const isLog = name.startsWith("queuelog-");
    const isMade = permits.made.some(
      (disk) => disk.service === name && disk.campus === config.campus,
    );
    if (permits.bootstrap.includes(name) && !isMade && readdirSync(dataDir).length === 0)
      writeFileSync(join(dataDir, isLog ? LOG_BOOTSTRAP_FILE : BOOTSTRAP_FILE), "");
    const rebuild = permits.rebuild.find(
      (permit) => permit.service === name && permit.campus === config.campus,
    );
    if (rebuild !== undefined) permitRebuild(dataDir, rebuild.token);
  }
}

function permitRebuild(dataDir: string, token: string): void {
  const used = usedTokenFile(dataDir);
  if (systemTextFiles.read(used)?.trim() === token) return;
  // A crash in between begins the rebuild once more, from its start: nothing is lost by that.
  systemTextFiles.replace(join(dataDir, REBUILD_FILE), "");
  systemTextFiles.replace(used, token);
}
