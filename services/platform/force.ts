/**
 * Forcing the store's group from its last survivor, as the data folder shows it: what the survivor's disk
 * says, the permit, and the acts that were carried out (services/kvsvr/force.ts).
 */
import { randomUUID } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { FORCE_FILE, type Forces, forcesIn, permitSchema } from "../kvsvr/force.ts";
import { GroupEpoch } from "../kvsvr/group-epoch.ts";
import { DISK_FILE, MET_FILE, REBUILD_FILE } from "../kvsvr/identity.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import type { PlatformConfig } from "./config.ts";
import { serviceDataDir } from "./layout.ts";
import { KV_GROUPS } from "./services.ts";

/** A campus's replica of one KV group. */
export interface Place {
  readonly campus: string;
  /** From 1 on. */
  readonly group: number;
}

function dirOf(config: PlatformConfig, { campus, group }: Place): string {
  return serviceDataDir(config.dataDir, campus, KV_GROUPS[group - 1]!);
}

export interface Survivor {
  /** Why its disk cannot keep a group; undefined: it can. */
  readonly unfit: string | undefined;
  /** When another replica last told it how far its log reached, ms since 1970; 0: never. */
  readonly heardAtMs: number;
}

export function survivorOf(config: PlatformConfig, place: Place): Survivor {
  const dir = dirOf(config, place);
  const met = join(dir, MET_FILE);
  return { unfit: unfit(dir), heardAtMs: existsSync(met) ? statSync(met).mtimeMs : 0 };
}

function unfit(dir: string): string | undefined {
  if (!existsSync(join(dir, DISK_FILE))) return "its disk is empty";
  if (existsSync(join(dir, REBUILD_FILE))) return "it is being rebuilt itself";
  if (groupOf(dir).isExcluded) return "the group was forced from another replica";
  return undefined;
}

function groupOf(dir: string): GroupEpoch {
  return new GroupEpoch(dir, systemTextFiles, 1);
}

/** The campus's replica keeps a group that was forced, and others are rebuilt from it alone. */
export function isKeeper(config: PlatformConfig, place: Place): boolean {
  return groupOf(dirOf(config, place)).keeper !== undefined;
}

/** Takes effect when the replica's process starts; returns what tells the act from others. */
export function permitForce(
  config: PlatformConfig,
  place: Place,
  said: { who: string; why: string },
): string {
  const act = randomUUID();
  const permit = permitSchema.parse({ act, atMs: Date.now(), ...said });
  const dir = dirOf(config, place);
  systemTextFiles.replace(join(dir, FORCE_FILE), JSON.stringify(permit));
  return act;
}

/** Every act that was carried out, as the survivors' disks have it. */
export function forcesOf(config: PlatformConfig): (Forces[number] & Place)[] {
  const groups = Array.from({ length: config.kvGroups }, (_, i) => i + 1);
  const places = config.campuses.flatMap((campus) => groups.map((group) => ({ campus, group })));
  return places.flatMap((place) =>
    forcesIn(dirOf(config, place), systemTextFiles).map((force) => ({ ...place, ...force })),
  );
}
