/**
 * Where a log's segments lie, by its options. Which stream of a JetStream server is this log's disk is
 * written down in the service's folder once it is made: a stream that is gone, or a folder that is, is
 * memory lost, and not a reason to begin anew (S3). A rebuild moves the folder's content aside, this
 * note included, and so begins with another stream.
 */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ServiceContext } from "../svrkit/context.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import type { QueueLogConfig } from "./config.ts";
import { DISK_FILE } from "./identity.ts";
import { NodeFolder, type SegmentFolder } from "./storage/files.ts";
import { JetStreamFolder } from "./storage/jetstream-folder.ts";
import { OwnedStream } from "./storage/owned-stream.ts";

const STREAM_FILE = "jetstream-stream";
const WARN_EVERY_MS = 10_000;
/**
 * A server that does not come is waited for so long, and the process ends with the reason: whoever runs it starts
 * it again, and sees that it did not start. A pod whose probes get no answer would be ended without a word.
 */
const WAIT_MS = 45_000;
/** Of streams that are left over so many are named. */
const NAMED_MAX = 20;

export interface OpenedFolder {
  readonly folder: SegmentFolder;
  /** Why what was written before is not in it; undefined: it is. */
  readonly lost: string | undefined;
  /** Why nothing can be written just now, in words; undefined: it can. */
  readonly silent: () => string | undefined;
  close(): Promise<void>;
}

type Place = Pick<ServiceContext, "dc" | "campus" | "dataDir" | "log">;

export async function openFolder(
  { dc, campus, dataDir, log }: Place,
  { engine, group }: Pick<QueueLogConfig, "engine" | "group">,
  waitMs = WAIT_MS,
): Promise<OpenedFolder> {
  const note = join(dataDir, STREAM_FILE);
  const known = systemTextFiles.read(note)?.trim();
  if (engine.kind === "embedded") {
    const lost = known && `its memory is in the JetStream stream ${known}, not here`;
    return without(new NodeFolder(dataDir), lost);
  }
  const url = engine.servers[campus];
  if (url === undefined) throw new Error(`engine.servers: there is none of campus ${campus}`);
  if (known === undefined && hasFiles(dataDir))
    return without(new NodeFolder(dataDir), "its memory is in the files here, not in JetStream");
  const prefix = `${STREAMS}${dc}-${campus}-queuelog-${group}-`;
  const stream = known ?? `${prefix}${randomBytes(4).toString("hex")}`;
  log.info({ url, stream }, "waiting for NATS to open the log's stream");
  const waits = setInterval(
    () => log.warn({ url, stream }, "NATS does not answer: this log does not vote until it does"),
    WARN_EVERY_MS,
  );
  const { secretsDir } = engine;
  const how = { create: known === undefined, waitMs };
  const owned = await OwnedStream.open({ url, secretsDir, stream }, how).finally(() =>
    clearInterval(waits),
  );
  if (owned === undefined)
    return without(new NodeFolder(dataDir), `the JetStream stream ${stream} is gone`);
  await nameLeftovers(owned, { dc, prefix }, log);
  const folder = await JetStreamFolder.open(owned);
  systemTextFiles.replace(note, stream);
  const silent = () => (owned.isConnected ? undefined : `NATS at ${url} does not answer`);
  return { folder, lost: undefined, silent, close: () => owned.close() };
}

/**
 * Streams that were this log's disk before rebuilds, or of data centres that are not here any more, or have
 * another number now: nothing reads them, and only a person removes them.
 */
async function nameLeftovers(
  owned: OwnedStream,
  { dc, prefix }: { dc: number; prefix: string },
  log: Place["log"],
): Promise<void> {
  const all = await owned.others(STREAMS).catch(() => []);
  const { earlier, others } = leftovers(all, { dc, prefix });
  if (earlier.length > 0)
    log.warn(
      { streams: earlier.slice(0, NAMED_MAX), count: earlier.length },
      "earlier streams of this log are still in NATS; when it has been rebuilt, remove them (nats stream rm)",
    );
  if (others.length > 0)
    log.warn(
      { streams: others.slice(0, NAMED_MAX), count: others.length },
      "streams of other data centres are in this NATS: remove those of one that is uninstalled (nats stream rm)",
    );
}

const STREAMS = "tricampus-";

/** Of names of streams that are not this log's: which were, and which are of another data centre. */
export function leftovers(
  names: readonly string[],
  { dc, prefix }: { dc: number; prefix: string },
): { earlier: string[]; others: string[] } {
  return {
    earlier: names.filter((name) => name.startsWith(prefix)),
    others: names.filter((name) => !name.startsWith(`${STREAMS}${dc}-`)),
  };
}

function without(folder: SegmentFolder, lost: string | undefined): OpenedFolder {
  const reason =
    lost && `${lost}: permit a rebuild from the two other logs (tricampus queue rebuild)`;
  return { folder, lost: reason, silent: () => undefined, close: async () => {} };
}

function hasFiles(dir: string): boolean {
  return readdirSync(dir).some((name) => name === DISK_FILE || name.endsWith(".log"));
}
