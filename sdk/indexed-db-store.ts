/**
 * A device's store in IndexedDB, for browsers: its lines as records of one object store, in the order of
 * their numbers. Lines are put down together, a moment later, in transactions that wait for the disk; one
 * that fails ends the store, and the next start syncs from the snapshot before it.
 */
import { type DeviceLine, parseLine } from "./device-lines.ts";
import { FIRST_LINE, LineStore } from "./line-store.ts";

const LINES = "lines";
const VERSION = 1;
const FLUSH_EVERY_MS = 200;
/** What may wait for a disk that is slower than the platform. */
const PENDING_CHARACTERS_MAX = 64 * 1024 * 1024;

/** What is used of IndexedDB. */
interface DatabaseRequest<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface Database {
  createObjectStore(name: string, options: { autoIncrement: boolean }): unknown;
  transaction(
    name: string,
    mode: "readonly" | "readwrite",
    options?: { durability: "strict" },
  ): Transaction;
  close(): void;
}

interface Transaction {
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
  objectStore(name: string): {
    add(value: string): unknown;
    getAll(): DatabaseRequest<string[]>;
  };
}

export interface DatabaseFactory {
  open(
    name: string,
    version: number,
  ): DatabaseRequest<Database> & { onupgradeneeded: (() => void) | null };
}

export class IndexedDbStore extends LineStore {
  readonly #database: Database;
  #pending: string[] = [];
  #pendingCharacters = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;
  #closed = false;

  private constructor(database: Database) {
    super();
    this.#database = database;
  }

  /** `name`: one a device of a user; `factory`: the browser's. */
  static async open(
    name: string,
    factory: DatabaseFactory = (globalThis as unknown as { indexedDB: DatabaseFactory }).indexedDB,
  ): Promise<IndexedDbStore> {
    const request = factory.open(name, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(LINES, { autoIncrement: true });
    };
    const store = new IndexedDbStore(await answerOf(request));
    const lines = await store.read();
    for (const line of lines) store.restore(line);
    if (lines.length === 0 && store.book.messages === 0) store.append(FIRST_LINE);
    return store;
  }

  override async flush(): Promise<void> {
    while (this.#writing !== undefined || this.#pending.length > 0) await this.#write();
    if (this.#failure !== undefined) throw this.#failure;
  }

  override async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    try {
      await this.flush();
    } finally {
      this.#database.close();
    }
  }

  protected override append(line: string): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new Error("this store is closed");
    this.#pendingCharacters += line.length;
    if (this.#pendingCharacters > PENDING_CHARACTERS_MAX)
      throw new Error("the disk is too slow for this store");
    this.#pending.push(line);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, FLUSH_EVERY_MS);
  }

  protected override async read(): Promise<DeviceLine[]> {
    await this.flush();
    const texts = await answerOf(
      this.#database.transaction(LINES, "readonly").objectStore(LINES).getAll(),
    );
    return texts.flatMap((text, index) => parseLine(text, `line ${index + 1}`) ?? []);
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writePending().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writePending(): Promise<void> {
    const lines = this.#pending;
    this.#pending = [];
    this.#pendingCharacters = 0;
    if (lines.length === 0 || this.#failure !== undefined) return;
    try {
      const options = { durability: "strict" } as const;
      const transaction = this.#database.transaction(LINES, "readwrite", options);
      const store = transaction.objectStore(LINES);
      for (const line of lines) store.add(line);
      await new Promise<void>((done, fail) => {
        transaction.oncomplete = () => done();
        transaction.onabort = () => fail(transaction.error);
      });
    } catch (error) {
      this.#failure = new Error("the browser's database takes no writes", { cause: error });
    }
  }
}

function answerOf<T>(request: DatabaseRequest<T>): Promise<T> {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}
