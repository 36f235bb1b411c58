/**
 * A platform made out of a backup of its store, before its first start. Everything is put together in
 * a folder beside the one it is meant for and appears there by one rename: whole, or not at all.
 *
 * Ids made by the new platform must not meet those in the backup: every service's incarnation goes on
 * above what it was when the backup was made.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import type { BackupRecord } from "../../protos/gen/tricampus/kv/v1/backup_codec.ts";
import type { SlotFloor } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { isControlTable, isSlotsRow } from "../control/rows.ts";
import { ProtocolViolation } from "../kvsvr/protocol/assert.ts";
import { SeededGroup, SeedRefused } from "../kvsvr/seed.ts";
import { CodecError } from "../svrkit/codec.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { permitBootstrap } from "./bootstrap.ts";
import { ConfigError, type PlatformConfig } from "./config.ts";
import { serviceDataDir } from "./layout.ts";
import { paths, writeJson } from "./paths.ts";
import { RestoredStreams } from "./restored-streams.ts";
import { ALL_SERVICES } from "./services.ts";

/** Starts of the old platform after the backup that its ids still cannot meet ours. */
const INCARNATION_MARGIN = 1_000;

/** By "campus/service": how often it was started; ids hold this number. */
type Incarnations = Readonly<Record<string, number>>;

export function readIncarnations(config: PlatformConfig): Incarnations {
  const found: Record<string, number> = {};
  for (const [name, path] of incarnationFiles(config)) {
    if (existsSync(path)) found[name] = Number(readFileSync(path, "utf8").trim());
  }
  return found;
}

function incarnationFiles(config: PlatformConfig): [name: string, path: string][] {
  return config.campuses.flatMap((campus) =>
    ALL_SERVICES.map((service): [string, string] => {
      const dir = serviceDataDir(config.dataDir, campus, service);
      return [`${campus}/${service}`, join(dir, "incarnation")];
    }),
  );
}

/** The records cannot be what a group decided. */
export class RestoreRefused extends Error {}

export class RestoredPlatform {
  readonly #config: PlatformConfig;
  readonly #building: PlatformConfig;
  readonly #group: SeededGroup;
  readonly #streams = new RestoredStreams();

  /** Throws ConfigError when the data folder holds something. */
  constructor(config: PlatformConfig, incarnations: Incarnations) {
    const { dataDir } = config;
    if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
      throw new ConfigError(
        `${dataDir} is not empty: a backup is restored into a new platform only; name a new --data-dir`,
      );
    }
    const building = `${dataDir}.restoring`;
    if (existsSync(building)) {
      throw new ConfigError(`${building} is left of a restore that did not end: remove it first`);
    }
    this.#config = config;
    this.#building = { ...config, dataDir: building };
    mkdirSync(building, { recursive: true });
    chmodSync(building, 0o700);
    permitBootstrap(this.#building);
    for (const [name, path] of incarnationFiles(this.#building)) {
      const before = incarnations[name];
      if (before !== undefined) systemTextFiles.replace(path, `${before + INCARNATION_MARGIN}\n`);
    }
    const dirs = config.campuses.map((campus) => serviceDataDir(building, campus, "kvsvr"));
    this.#group = new SeededGroup(dirs);
  }

  /** Durable when it resolves; throws RestoreRefused when the records are not what a group decided. */
  async add(records: readonly BackupRecord[]): Promise<void> {
    try {
      await this.#group.add(records.map(withoutSlots));
      this.#streams.note(records);
    } catch (error) {
      throw asRefused(error);
    }
  }

  /** The platform is there, stopped, when it resolves. */
  async finish(floors: readonly SlotFloor[] = []): Promise<void> {
    try {
      this.#group.finish(floors);
      for (const { key, value } of this.#streams.records()) await this.#group.put(key, value);
    } catch (error) {
      throw asRefused(error);
    }
    await this.#group.close();
    writeJson(paths.platform(this.#building.dataDir), this.#config);
    renameSync(this.#building.dataDir, this.#config.dataDir);
  }

  /** Nothing of it stays. */
  async abandon(): Promise<void> {
    await this.#group.close().catch(() => {});
    rmSync(this.#building.dataDir, { recursive: true, force: true });
  }
}

/**
 * The new platform has everything in its first group, wherever it lay in the old one: the map of slots
 * is not restored. Slots are moved to other groups afterwards.
 */
function withoutSlots(record: BackupRecord): BackupRecord {
  const { key, state } = record;
  if (key === undefined || state?.body?.case !== "table" || !isControlTable(key)) return record;
  const rows = state.body.value.rows.filter(({ row }) => !isSlotsRow(row));
  const body = { case: "table" as const, value: { ...state.body.value, rows } };
  return { key, state: { ...state, body } };
}

function asRefused(error: unknown): unknown {
  const isRefused =
    error instanceof SeedRefused ||
    error instanceof CodecError ||
    error instanceof ProtocolViolation;
  return isRefused ? new RestoreRefused(error.message) : error;
}
