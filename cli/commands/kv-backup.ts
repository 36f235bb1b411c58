/** `tricampus kv backup` and `kv restore`: the whole store into a folder, and out of one. */
import { resolve } from "node:path";
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { SlotFloor } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { shardsOf } from "../../services/control/slots-client.ts";
import {
  RestoredPlatform,
  RestoreRefused,
  readIncarnations,
} from "../../services/platform/restore.ts";
import { CALLED } from "../called.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { Backup } from "../kv/backup.ts";
import {
  BackupWriter,
  damaged,
  type Manifest,
  readGroups,
  readManifest,
} from "../kv/backup-files.ts";
import { groupOf } from "../kv/groups.ts";
import { type OperatorParts, withReplicas } from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { CONFIG_OPTIONS, readConfig } from "./up.ts";

export const kvBackupCommands: readonly CommandDefinition[] = [
  {
    name: "kv backup",
    summary: "write the whole store into a new folder, while it serves",
    arguments: [["<dir>", "a folder that is new or empty"]],
    run: async (call) => {
      const dir = resolve(call.arguments[0]!);
      const begunMs = performance.now();
      const { manifest, bytes } = await withReplicas(call, (parts) => backUp(parts, dir));
      const { keys, tables } = manifest;
      const seconds = ((performance.now() - begunMs) / 1_000).toFixed(1);
      if (call.json) printJson({ dir, keys, tables, bytes });
      else {
        console.log(
          `Backed up ${keys} keys and ${tables} tables (${bytes} bytes) to ${dir} in ${seconds} s.`,
        );
      }
      return EXIT.ok;
    },
  },
  {
    name: "kv restore",
    summary: "make a new platform out of a backup; start it with `tricampus up`",
    arguments: [["<dir>", "what `tricampus kv backup` wrote"]],
    options: CONFIG_OPTIONS,
    run: async (call) => {
      const { manifest, dataDir } = await restore(call, resolve(call.arguments[0]!));
      const { keys, tables, begunAt } = manifest;
      if (call.json) printJson({ dataDir, keys, tables, begunAt });
      else {
        console.log(`Restored ${keys} keys and ${tables} tables as of ${begunAt}.`);
        console.log(`Start it: ${CALLED} up --data-dir ${dataDir}`);
      }
      return EXIT.ok;
    },
  },
];

async function backUp(parts: OperatorParts, dir: string) {
  const { dc } = parts.inspector;
  const campuses = [...parts.inspector.campuses];
  const before = await stillSlots(parts);
  const writer = new BackupWriter(dir);
  try {
    const begunAt = new Date().toISOString();
    const counts = await backUpGroups(parts, writer);
    const after = await stillSlots(parts);
    if (after !== before)
      throw new Failure(
        EXIT.failed,
        "slots were moved meanwhile, keys may be missing: back up again",
      );
    // After the last key: no id in the backup was made in a later incarnation. Those of a cluster's pods are drawn
    // at random among 2^52 (platform/incarnations.ts), which numbers counted from 1 do not meet.
    const incarnations =
      parts.platform === undefined ? {} : readIncarnations(parts.platform.config);
    const endedAt = new Date().toISOString();
    const manifest = writer.finish({ begunAt, endedAt, dc, campuses, incarnations, ...counts });
    return { manifest, bytes: writer.bytes };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

async function backUpGroups({ store, groups, shards }: OperatorParts, writer: BackupWriter) {
  const counts = { keys: 0, tables: 0, floors: [] as SlotFloor[] };
  for (const { group, replicas } of groups) {
    const isIncluded = (key: Key) => groupOf(shards, key) === group;
    const { keys, tables, floors } = await new Backup({
      ...{ store, replicas, writer, isIncluded },
    }).run();
    counts.keys += keys;
    counts.tables += tables;
    counts.floors.push(...floors);
  }
  return counts;
}

/**
 * The number of the last move, which is over: a key on its way might be read in neither group. In a cluster a new
 * group serves before every admin door has heard of it, and what it serves would be left out.
 */
async function stillSlots({ slots, groups }: OperatorParts): Promise<number> {
  const map = await slots.read();
  const { move, lastNumber } = map;
  if (move !== undefined)
    throw new Failure(EXIT.failed, `move ${move.number} of slots is under way: wait for its end`);
  const reached = new Set(groups.map(({ group }) => group));
  const other = shardsOf(map).find(({ group }) => !reached.has(group));
  if (other === undefined) return lastNumber;
  throw new Failure(
    EXIT.unreachable,
    `KV group ${other.group} serves slots and cannot be reached through this door yet: try again in a minute`,
  );
}

async function restore(
  call: CommandCall,
  dir: string,
): Promise<{ manifest: Manifest; dataDir: string }> {
  if (call.context !== undefined) {
    throw new Failure(
      EXIT.usage,
      "a backup is restored into a new platform on one machine: leave --context out, name a new --data-dir",
    );
  }
  const manifest = readManifest(dir);
  const { dc, campuses, incarnations } = manifest;
  const config = readConfig(call, { dc, campuses });
  // Ids name the data centre and the campus in which they were made.
  if (config.dc !== dc || config.campuses.join() !== campuses.join()) {
    const born = `data centre ${dc} with campuses ${campuses.join(", ")}`;
    throw new Failure(EXIT.usage, `the backup is of ${born}: restore it under the same names`);
  }
  const platform = new RestoredPlatform(config, incarnations);
  let place = dir;
  try {
    for (const group of readGroups(dir, manifest)) {
      place = group.place;
      await platform.add(group.records);
    }
    await platform.finish(manifest.floors ?? []);
    return { manifest, dataDir: config.dataDir };
  } catch (error) {
    await platform.abandon();
    throw error instanceof RestoreRefused ? damaged(place, error.message) : error;
  }
}
