/**
 * The simulated disk of one replica, byte-exact. What a process writes is in the page cache: it
 * outlives the process, and a loss of power only as far as it was synced. Of the rest anything may
 * survive: nothing, all, the writes up to some point, or single sectors in any order.
 */
import { basename } from "node:path";
import type { Files, LogFile } from "../services/kvsvr/storage/files.ts";
import type { Position } from "../services/svrkit/known-disk.ts";
import type { Random } from "../services/svrkit/seeded-random.ts";
import type { TextFiles } from "../services/svrkit/text-files.ts";
import type { Clock, Process } from "./clock.ts";
import { DurableEngine } from "./engine.ts";

const SECTOR_BYTES = 512;

export interface DiskOptions {
  readonly syncMs: readonly [number, number];
  /** Share of syncs that take up to `stallMs` longer. */
  readonly stalls: number;
  readonly stallMs: number;
}

type Change = { what: "write"; at: number; bytes: Buffer } | { what: "truncate"; length: number };

/** A file's bytes in a buffer that grows. */
class Bytes {
  #buffer = Buffer.alloc(4096);
  length = 0;

  get all(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  apply(change: Change): void {
    if (change.what === "truncate") this.#resize(change.length);
    else {
      const end = change.at + change.bytes.length;
      if (end > this.length) this.#resize(end);
      change.bytes.copy(this.#buffer, change.at);
    }
  }

  #resize(length: number): void {
    if (length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(length, this.#buffer.length * 2));
      this.all.copy(larger);
      this.#buffer = larger;
    } else if (length < this.length) this.#buffer.fill(0, length, this.length);
    this.length = length;
  }

  copy(): Bytes {
    const copy = new Bytes();
    copy.apply({ what: "write", at: 0, bytes: Buffer.from(this.all) });
    return copy;
  }
}

class StoredFile {
  cached = new Bytes();
  durable = new Bytes();
  /** In the cache and not yet durable, in order. */
  pending: Change[] = [];

  change(change: Change): void {
    this.cached.apply(change);
    this.pending.push(change);
  }

  syncThrough(count: number): void {
    for (const change of this.pending.splice(0, count)) this.durable.apply(change);
  }

  copy(): StoredFile {
    const copy = new StoredFile();
    copy.durable = this.durable.copy();
    copy.cached = this.durable.copy();
    return copy;
  }
}

export class Disk {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: DiskOptions;
  #files = new Map<string, StoredFile>();
  /** The directory as it is on the disk: what a loss of power can bring back or take. */
  #durableFiles = new Map<string, StoredFile>();
  #texts = new Map<string, string>();
  engine = new DurableEngine();
  /** Error code that writes fail with; undefined: they succeed. */
  writeError: string | undefined;
  /** Every sync takes so much longer. */
  slowMs = 0;
  /** The next sync fails as a broken disk's does. */
  failNextSync = false;

  constructor(clock: Clock, random: Random, options: DiskOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** The disk as one process sees it. */
  files(process: Process): Files {
    const wait = (ms: number, act: () => void) =>
      new Promise<void>((resolve, reject) =>
        this.#clock.after(process, ms, () => {
          try {
            act();
            resolve();
          } catch (error) {
            reject(error);
          }
        }),
      );
    const soon = () => this.#random.between(0.01, 0.1);
    return {
      texts: {
        ...this.texts,
        replaceSoon: (path, text) => wait(this.#syncMs(), () => this.texts.replace(path, text)),
      },
      list: async () => {
        await wait(soon(), () => {});
        return [...this.#files.keys()].map((path) => basename(path));
      },
      open: async (path) => {
        await wait(soon(), () => {
          if (!this.#files.has(path)) this.#files.set(path, new StoredFile());
        });
        return this.#open(this.#files.get(path)!, wait);
      },
      remove: (path) =>
        wait(soon(), () => {
          this.#files.delete(path);
        }),
      rename: () => Promise.reject(new Error("the log renames nothing")),
      setAside: (_dir, keep) =>
        wait(soon(), () => {
          const [path, text] = [...this.#texts].find(([name]) => basename(name) === keep)!;
          this.lose();
          this.#texts.set(path, text);
        }),
      syncDir: () =>
        wait(this.#syncMs(), () => {
          this.#durableFiles = new Map(this.#files);
        }),
    };
  }

  #open(file: StoredFile, wait: (ms: number, act: () => void) => Promise<void>): LogFile {
    return {
      size: async () => {
        await wait(0.1, () => {});
        return file.cached.length;
      },
      read: async (into, position) => file.cached.all.copy(into, 0, position),
      readNow: (into, position) => file.cached.all.copy(into, 0, position),
      write: (bytes, at) => {
        if (this.writeError !== undefined)
          throw Object.assign(new Error(`${this.writeError}: simulated`), {
            code: this.writeError,
          });
        file.change({ what: "write", at, bytes: Buffer.from(bytes) });
      },
      sync: () => {
        const count = file.pending.length;
        const fails = this.failNextSync;
        this.failNextSync = false;
        return wait(this.#syncMs(), () => {
          if (fails) throw new Error("EIO: simulated");
          file.syncThrough(count);
        });
      },
      truncate: (length) => wait(0.05, () => file.change({ what: "truncate", length })),
      close: () => Promise.resolve(),
    };
  }

  readonly texts: TextFiles = {
    read: (path) => this.#texts.get(path),
    replace: (path, text) => {
      this.#texts.set(path, text);
    },
    replaceSoon: async (path, text) => {
      this.#texts.set(path, text);
    },
    remove: (path) => {
      this.#texts.delete(path);
    },
  };

  #syncMs(): number {
    const { syncMs, stalls, stallMs } = this.#options;
    const [low, high] = syncMs;
    const stall = this.#random.chance(stalls) ? this.#random.between(0, stallMs) : 0;
    return this.#random.between(low, high) + stall + this.slowMs;
  }

  /** How long the engine's commit takes. */
  commitMs(): number {
    return this.#syncMs() * 2;
  }

  /** Bytes that a loss of power would endanger. */
  get unsynced(): number {
    return [...this.#files.values()].reduce((sum, file) => sum + file.pending.length, 0);
  }

  /** The power goes. */
  losePower(): void {
    for (const name of new Set([...this.#files.keys(), ...this.#durableFiles.keys()])) {
      const wasCreated = !this.#durableFiles.has(name);
      const wasRemoved = !this.#files.has(name);
      if (wasCreated && this.#random.chance(0.5)) this.#files.delete(name);
      if (wasRemoved && this.#random.chance(0.5))
        this.#files.set(name, this.#durableFiles.get(name)!);
    }
    for (const file of this.#files.values()) {
      this.#tear(file);
      file.pending = [];
      file.cached = file.durable.copy();
    }
    this.#durableFiles = new Map(this.#files);
  }

  /** What of the unsynced writes the disk had taken by itself. */
  #tear(file: StoredFile): void {
    const { pending, durable } = file;
    if (pending.length === 0) return;
    const mode = this.#random.pick(["nothing", "all", "first", "sectors"] as const);
    if (mode === "nothing") return;
    const count = mode === "first" ? this.#random.index(pending.length + 1) : pending.length;
    for (const [i, change] of pending.slice(0, count).entries()) {
      const isLast = i === count - 1;
      if (change.what === "truncate" || mode === "all") durable.apply(change);
      else if (mode === "first") durable.apply(isLast ? this.#cut(change) : change);
      else for (const sector of this.#someSectors(change)) durable.apply(sector);
    }
  }

  #cut(change: Extract<Change, { what: "write" }>): Change {
    const bytes = change.bytes.subarray(0, this.#random.index(change.bytes.length + 1));
    return { ...change, bytes };
  }

  #someSectors(change: Extract<Change, { what: "write" }>): Change[] {
    const { at, bytes } = change;
    const kept: Change[] = [];
    for (let from = 0; from < bytes.length; ) {
      const end = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
      if (this.#random.chance(0.5))
        kept.push({ what: "write", at: at + from, bytes: bytes.subarray(from, end) });
      from = end;
    }
    return kept;
  }

  /** Flips one bit of the durable log; false when there is none. */
  flipBit(): boolean {
    const files = [...this.#files.values()].filter((file) => file.durable.length > 0);
    if (files.length === 0) return false;
    const file = this.#random.pick(files);
    const at = this.#random.index(file.durable.length);
    const bytes = Buffer.from([file.durable.all[at]! ^ (1 << this.#random.index(8))]);
    file.durable.apply({ what: "write", at, bytes });
    file.cached = file.durable.copy();
    file.pending = [];
    return true;
  }

  lose(): void {
    this.#files = new Map();
    this.#durableFiles = new Map();
    this.#texts = new Map();
    this.engine = new DurableEngine();
  }

  #text(name: string): string | undefined {
    const path = [...this.#texts.keys()].find((other) => basename(other) === name);
    return path === undefined ? undefined : this.#texts.get(path);
  }

  /** How often a replica was started on this disk. */
  get starts(): number {
    return Number(this.#text("incarnation") ?? 0);
  }

  /** How far the log reaches, torn ends included. */
  get reach(): Position {
    const names = [...this.#files.keys()]
      .filter((path) => basename(path).startsWith("log-"))
      .sort();
    const last = names.at(-1);
    if (last === undefined) return { segment: 0, bytes: 0 };
    return {
      segment: Number(basename(last).slice("log-".length)),
      bytes: this.#files.get(last)!.durable.length,
    };
  }

  /** What the replica on this disk remembers of another one. */
  met(replica: number): Position & { readonly incarnation: number } {
    const met = JSON.parse(this.#text("replicas-met.json") ?? "{}")[replica];
    return met ?? { incarnation: 0, segment: 0, bytes: 0 };
  }

  /** What is durable now, to be put back later. */
  copy(): () => void {
    const files = new Map([...this.#files].map(([name, file]) => [name, file.copy()]));
    const texts = new Map(this.#texts);
    const engine = this.engine.copy();
    return () => {
      this.#files = files;
      this.#durableFiles = new Map(files);
      this.#texts = texts;
      this.engine = engine;
    };
  }
}
