/**
 * A backup on disk: a folder with data files and, written last, a manifest. Without its manifest a
 * folder is no backup.
 *
 *   manifest.json  format, counts, files with length and sha256; sealed by a checksum of its own
 *   data-00001.kv  header (16): magic, u32 format, u32 number; then groups:
 *                  u32 length | u32 crc32 | BackupGroup (protos/tricampus/kv/v1/backup.proto)
 *
 * Reading checks everything: what is damaged is named by file, group and byte, and never handed out.
 */
import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import {
  type BackupRecord,
  decodeBackupGroup,
  encodeBackupGroup,
} from "../../protos/gen/tricampus/kv/v1/backup_codec.ts";
import { fromBytes, toBytes } from "../../services/svrkit/codec.ts";
import { EXIT, Failure } from "../failure.ts";

const FORMAT = 1;
/** Of backups that name floors, which older versions would not restore. */
const FORMAT_WITH_FLOORS = 2;
const MAGIC = Buffer.from("TCKVBACK");
const HEADER_BYTES = 16;
const GROUP_HEAD_BYTES = 8;
/** A group is written when it has so much. */
const GROUP_BYTES = 512 * 1024;
/** Above what a group can come to with its last record; a longer one is damage. */
const GROUP_BYTES_MAX = 16 * 1024 * 1024;
const FILE_BYTES = 256 * 1024 * 1024;
const MANIFEST = "manifest.json";
const DATA_FILE = /^data-\d{5}\.kv$/;

const count = z.int().min(0);
const manifestSchema = z.strictObject({
  format: z.union([z.literal(FORMAT), z.literal(FORMAT_WITH_FLOORS)]),
  /** ISO 8601. */
  begunAt: z.string(),
  endedAt: z.string(),
  dc: z.int().min(0).max(255),
  campuses: z.array(z.string()).length(3),
  /** By campus/service: how often it had been started. Ids made since then come after these. */
  incarnations: z.record(z.string(), count),
  keys: count,
  tables: count,
  records: count,
  /** Slots in which keys were deleted and forgotten: what is written there begins above these versions. */
  floors: z
    .array(
      z.strictObject({
        keyspace: count,
        first: count,
        last: count,
        version: count,
        forgottenMs: count,
      }),
    )
    .optional(),
  files: z.array(
    z.strictObject({
      name: z.string().regex(DATA_FILE),
      bytes: count,
      groups: count,
      sha256: z.string(),
    }),
  ),
});

export type Manifest = z.output<typeof manifestSchema>;
type BackupFacts = Pick<
  Manifest,
  "begunAt" | "endedAt" | "dc" | "campuses" | "incarnations" | "keys" | "tables"
> & { readonly floors: readonly NonNullable<Manifest["floors"]>[number][] };

export class BackupWriter {
  readonly #dir: string;
  readonly #files: Manifest["files"] = [];
  readonly #madeDir: boolean;
  #file: { fd: number; name: string; bytes: number; groups: number; hash: Hash } | undefined;
  #gathered: BackupRecord[] = [];
  #gatheredBytes = 0;
  #records = 0;

  /** Refuses a folder that holds something. */
  constructor(dir: string) {
    this.#dir = dir;
    this.#madeDir = !existsSync(dir);
    if (this.#madeDir) mkdirSync(dir, { recursive: true, mode: 0o700 });
    else if (readdirSync(dir).length > 0)
      throw new Failure(EXIT.usage, `${dir} is not empty: a backup goes into a new folder`);
  }

  get bytes(): number {
    const closed = this.#files.reduce((sum, file) => sum + file.bytes, 0);
    return closed + (this.#file?.bytes ?? 0);
  }

  /** `size`: about what the records take. */
  add(records: readonly BackupRecord[], size: number): void {
    this.#gathered.push(...records);
    this.#gatheredBytes += size;
    this.#records += records.length;
    if (this.#gatheredBytes >= GROUP_BYTES) this.#writeGathered();
  }

  #writeGathered(): void {
    if (this.#gathered.length === 0) return;
    for (let at = 0; at < this.#gathered.length; ) {
      const end = endOfGroup(this.#gathered, at);
      this.#writeGroup(toBytes(encodeBackupGroup, { records: this.#gathered.slice(at, end) }));
      at = end;
    }
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #writeGroup(payload: Buffer): void {
    const head = Buffer.allocUnsafe(GROUP_HEAD_BYTES);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(crc32(payload), 4);
    if (this.#file === undefined) this.#begin();
    this.#write(head);
    this.#write(payload);
    this.#file!.groups += 1;
    if (this.#file!.bytes >= FILE_BYTES) this.#end();
  }

  #begin(): void {
    const number = this.#files.length + 1;
    const name = `data-${String(number).padStart(5, "0")}.kv`;
    const fd = openSync(join(this.#dir, name), "wx", 0o600);
    this.#file = { fd, name, bytes: 0, groups: 0, hash: createHash("sha256") };
    this.#write(headerOf(number));
  }

  #write(bytes: Buffer): void {
    const file = this.#file!;
    for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done);
    file.bytes += bytes.length;
    file.hash.update(bytes);
  }

  #end(): void {
    const file = this.#file;
    if (file === undefined) return;
    fsyncSync(file.fd);
    closeSync(file.fd);
    const { name, bytes, groups, hash } = file;
    this.#files.push({ name, bytes, groups, sha256: hash.digest("hex") });
    this.#file = undefined;
  }

  /** Everything is on the disk when it returns. */
  finish(facts: BackupFacts): Manifest {
    this.#writeGathered();
    this.#end();
    const { floors, ...others } = facts;
    const manifest: Manifest = {
      format: floors.length > 0 ? FORMAT_WITH_FLOORS : FORMAT,
      ...others,
      ...(floors.length > 0 && { floors: [...floors] }),
      records: this.#records,
      files: this.#files,
    };
    const path = join(this.#dir, MANIFEST);
    const fd = openSync(`${path}.new`, "wx", 0o600);
    writeFileSync(
      fd,
      `${JSON.stringify({ ...manifest, checksum: checksumOf(manifest) }, null, 2)}\n`,
    );
    fsyncSync(fd);
    closeSync(fd);
    renameSync(`${path}.new`, path);
    const folder = openSync(this.#dir, "r");
    fsyncSync(folder);
    closeSync(folder);
    return manifest;
  }

  /** Removes what was written: it is no backup. */
  abandon(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    const own = readdirSync(this.#dir).filter((name) => DATA_FILE.test(name));
    for (const name of [...own, `${MANIFEST}.new`]) rmSync(join(this.#dir, name), { force: true });
    if (this.#madeDir) rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Records of one group: about GROUP_BYTES, at least one. */
function endOfGroup(records: readonly BackupRecord[], from: number): number {
  let end = from;
  for (let bytes = 0; end < records.length && bytes < GROUP_BYTES; end++)
    bytes += sizeOf(records[end]!);
  return end;
}

/** About what a record takes. */
export function sizeOf({ key, state }: BackupRecord): number {
  const own = 64 + (key?.key.length ?? 0);
  if (state?.body?.case === "decision") return own + state.body.value.length;
  if (state?.body?.case !== "table") return own;
  const { rows, operations } = state.body.value;
  const kept = operations?.kept.length ?? 0;
  return rows.reduce((sum, { row, value }) => sum + 16 + row.length + value.length, own + kept);
}

/** Reads and checks the manifest. */
export function readManifest(dir: string): Manifest {
  const path = join(dir, MANIFEST);
  if (!existsSync(path)) {
    throw new Failure(EXIT.usage, `${dir} is no backup: there is no ${MANIFEST} in it`);
  }
  const { checksum, ...rest } = parsed(path);
  if (checksum !== checksumOf(rest)) throw damaged(path, "its checksum does not match");
  const checked = manifestSchema.safeParse(rest);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
  throw damaged(path, `${issue.path.join(".")}: ${issue.message}`);
}

function parsed(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw damaged(path, "it is no JSON object");
}

/** The records of one group, and where it lies, for errors. */
interface ReadGroup {
  readonly place: string;
  readonly records: readonly BackupRecord[];
}

/** All groups in order, each checked; ends only when everything the manifest names was there. */
export function* readGroups(dir: string, manifest: Manifest): Generator<ReadGroup> {
  let records = 0;
  for (const [index, file] of manifest.files.entries()) {
    for (const group of readFile(join(dir, file.name), file, index + 1)) {
      records += group.records.length;
      yield group;
    }
  }
  if (records !== manifest.records)
    throw damaged(dir, `it holds ${records} records, its manifest says ${manifest.records}`);
}

function* readFile(
  path: string,
  file: Manifest["files"][number],
  number: number,
): Generator<ReadGroup> {
  if (!existsSync(path)) throw damaged(path, "the file is missing");
  const fd = openSync(path, "r");
  const hash = createHash("sha256");
  let at = 0;
  const take = (length: number, place: string) => {
    const bytes = Buffer.allocUnsafe(length);
    if (at + length > file.bytes || readFully(fd, bytes, at) < length)
      throw damaged(place, "the file ends too early");
    at += length;
    hash.update(bytes);
    return bytes;
  };
  try {
    if (!take(HEADER_BYTES, path).equals(headerOf(number)))
      throw damaged(path, "its header is not that of this backup's file");
    for (let group = 1; at < file.bytes; group++) {
      const place = `${path}, group ${group} at byte ${at}`;
      const head = take(GROUP_HEAD_BYTES, place);
      const length = head.readUInt32LE(0);
      if (length > GROUP_BYTES_MAX) throw damaged(place, "its length is impossible");
      const payload = take(length, place);
      if (crc32(payload) !== head.readUInt32LE(4))
        throw damaged(place, "its checksum does not match");
      yield { place, records: fromBytes(decodeBackupGroup, payload).records };
    }
    if (readFully(fd, Buffer.alloc(1), at) > 0) throw damaged(path, "it is longer than it was");
    if (hash.digest("hex") !== file.sha256) throw damaged(path, "its sha256 does not match");
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, into: Buffer, at: number): number {
  let done = 0;
  while (done < into.length) {
    const read = readSync(fd, into, done, into.length - done, at + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

function headerOf(number: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT, 8);
  header.writeUInt32LE(number, 12);
  return header;
}

function checksumOf(manifest: object): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
}

/** What to say of a backup that cannot be used. */
export function damaged(place: string, what: string): Failure {
  return new Failure(EXIT.failed, `the backup is damaged: ${place}: ${what}; use another backup`);
}
