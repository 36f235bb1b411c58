/**
 * What a witness was told, as a file that outlives the process: requests in the order they came,
 * each behind its length and CRC-32 (u32, little-endian). Replaying them gives what is open.
 *
 * Written at once, so that kill -9 loses nothing, and synced once a second, so that it costs the
 * store's disk next to nothing: a power cut may lose the last second. When nothing is open the file is
 * emptied, and when it has grown it is written anew with what is open. A disk that takes no writes
 * costs the file, not the sends: they go on in memory, and the file is made anew when it does.
 */
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { crc32 } from "node:zlib";
import {
  decodeWitnessRequest,
  encodeWitnessRequest,
  type OpenSend,
  type WitnessRequest,
} from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";

const HEAD_BYTES = 8;
const FILE_MODE = 0o600;
const SYNC_PAUSE_MS = 1_000;
const SIZE_MAX = 4 * 1024 * 1024;

/** What the file needs of a file system. */
export interface SendsFiles {
  /** Everything in it; undefined when it is not there. */
  read(path: string): Buffer | undefined;
  /** A new file, or an old one emptied. */
  create(path: string): Promise<SendsFile>;
  rename(from: string, to: string): Promise<void>;
}

export interface SendsFile {
  write(bytes: Buffer, offset: number, length: number, position: number): Promise<unknown>;
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

const systemFiles: SendsFiles = {
  read(path) {
    try {
      return readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
  create: (path) => open(path, "w", FILE_MODE),
  rename,
};
let files = systemFiles;

/** Only for simulations; undefined puts the system's back. */
export function setSendsFiles(replaced: SendsFiles | undefined): void {
  files = replaced ?? systemFiles;
}

export interface OpenSendsFileOptions {
  readonly path: string;
  /** What is open now. */
  readonly open: () => Iterable<OpenSend>;
  /** Why the file cannot be written; undefined when it can again. */
  readonly onTrouble: (why: string | undefined) => void;
}

export class OpenSendsFile {
  readonly #options: OpenSendsFileOptions;
  #pending: Buffer[] = [];
  #file: SendsFile | undefined;
  #size = 0;
  #isStale = true;
  #hasFailed = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: OpenSendsFileOptions) {
    this.#options = options;
  }

  /** What an earlier process left; ends at the first record that does not check. */
  replay(take: (request: WitnessRequest) => void): void {
    for (const request of recordsOf(files.read(this.#options.path) ?? Buffer.alloc(0)))
      take(request);
  }

  append(request: WitnessRequest): void {
    // What is open is written anew, once a second, until that works.
    if (this.#closed || this.#hasFailed) return;
    this.#pending.push(recordOf(request));
    this.#running ??= this.#write();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#file?.close().catch(() => {}); // it was written
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const bytes = Buffer.concat(this.#pending);
      this.#pending = [];
      await this.#guarded(async () => {
        if (this.#isStale || this.#size > SIZE_MAX) await this.#writeAnew();
        else await this.#writeAtEnd(bytes);
      });
    }
    this.#running = undefined;
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#settle(), SYNC_PAUSE_MS);
  }

  /** A second after a write: everything so far becomes durable, or superfluous. */
  #settle(): void {
    this.#timer = undefined;
    if (this.#running !== undefined) return; // sets the timer again
    this.#running = this.#guarded(async () => {
      const [first] = this.#options.open();
      if (this.#isStale) await this.#writeAnew();
      else if (first !== undefined) await this.#file?.datasync();
      else await this.#empty();
    }).then(() => {
      this.#running = undefined;
      if (this.#pending.length > 0) this.#running = this.#write();
      else if (this.#isStale && !this.#closed) {
        this.#timer = setTimeout(() => this.#settle(), SYNC_PAUSE_MS);
      }
    });
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      if (this.#hasFailed) this.#options.onTrouble(undefined);
      this.#hasFailed = false;
    } catch (error) {
      // Behind what was half written nothing would be read again.
      this.#isStale = true;
      this.#hasFailed = true;
      this.#pending = [];
      this.#options.onTrouble(error instanceof Error ? error.message : String(error));
    }
  }

  async #writeAtEnd(bytes: Buffer): Promise<void> {
    await this.#file!.write(bytes, 0, bytes.length, this.#size);
    this.#size += bytes.length;
  }

  async #empty(): Promise<void> {
    await this.#file?.truncate(0);
    this.#size = 0;
  }

  /** What is pending is in it: it was applied before it was appended. */
  async #writeAnew(): Promise<void> {
    const bytes = recordOf({ opened: [...this.#options.open()], closed: [] });
    const { path } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    const file = await files.create(`${path}.new`);
    try {
      await file.write(bytes, 0, bytes.length, 0);
      await files.rename(`${path}.new`, path);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#size = bytes.length;
    this.#isStale = false;
  }
}

function recordOf(request: WitnessRequest): Buffer {
  const body = toBytes(encodeWitnessRequest, request);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(body.length, 0);
  head.writeUInt32LE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

function* recordsOf(bytes: Buffer): Iterable<WitnessRequest> {
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
    const body = bytes.subarray(at + HEAD_BYTES, end);
    if (end > bytes.length || crc32(body) !== bytes.readUInt32LE(at + 4)) return;
    yield fromBytes(decodeWitnessRequest, body);
    at = end;
  }
}
