/**
 * Keeps a device up to date: one sync at a time, page after page, until nothing is newer. A hint that
 * comes while a sync runs makes it run once more, because the answer under way may be older than the
 * hint. A snapshot that the platform does not accept is given up: everything is read again, and the
 * store keeps what is new.
 */
import { Sync, type SyncReply } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { hasBug } from "../services/svrkit/planted.ts";
import type { Link } from "./link.ts";
import { EMPTY_SNAPSHOT, type Rows, type Snapshot } from "./store.ts";

export const PAGE = 500;
const TIMEOUT_MS = 10_000;

export interface SyncTarget {
  readonly snapshot: Snapshot;
  /** A rebuild began, in this run or an earlier one, and its last page is not kept yet. */
  readonly isRebuilding: boolean;
  /** Resolves when what the snapshot stands for would outlive this process. */
  keep(): Promise<void>;
  /** Keeps the rows of an answer, with the snapshot after them. */
  take(page: Page, snapshot: Snapshot): Promise<void>;
  /** The snapshot is of no use: everything is read again. */
  forget(): void;
}

export type Page = Pick<SyncReply, "messages" | "settings" | "groups"> &
  Partial<Pick<SyncReply, "account" | "contacts" | "waits">> &
  Pick<Rows, "rebuild">;

interface Waiter {
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

export class SyncLoop {
  readonly #link: Link;
  readonly #target: SyncTarget;
  #running = false;
  /** Who waits for a sync that has not started. */
  #next: Waiter[] = [];
  #wanted = false;
  /** Account and contacts are wanted, too. */
  #wantsAll = true;

  constructor(link: Link, target: SyncTarget) {
    this.#link = link;
    this.#target = target;
  }

  /** The first page came with the log-in. */
  async begin(reply: SyncReply): Promise<void> {
    if (reply.rebuild) return; // its pages follow one another: sync asks for them
    await this.#take(reply);
  }

  /** Something may be newer. A failure is left to the next hint or fallback sync. */
  poke({ allParts = false } = {}): void {
    this.#wanted = true;
    this.#wantsAll ||= allParts;
    if (!this.#running) void this.#run();
  }

  /** The next sync asks for account and contacts, too. */
  wantAllParts(): void {
    this.#wantsAll = true;
  }

  /** Resolves when everything that was in the inbox at the call is in the store. */
  sync(): Promise<void> {
    return new Promise((done, fail) => {
      this.#next.push({ done, fail });
      this.poke({ allParts: true });
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#wanted) {
      this.#wanted = false;
      const waiters = this.#next;
      this.#next = [];
      const allParts = this.#wantsAll;
      this.#wantsAll = false;
      try {
        await this.#pages(allParts);
        for (const waiter of waiters) waiter.done();
      } catch (error) {
        this.#wantsAll ||= allParts;
        for (const waiter of waiters) waiter.fail(error);
      }
    }
    this.#running = false;
  }

  async #pages(allParts: boolean): Promise<void> {
    for (let before: number | undefined; ; ) {
      const reply = await this.#page(allParts);
      await this.#take(reply);
      if (!reply.more) return;
      const isStill = before !== undefined && !reply.rebuild && reply.version <= before;
      if (isStill && reply.contacts.length === 0) {
        throw new RpcError(
          "INTERNAL",
          "the platform says that there is more, and sends nothing newer",
        );
      }
      before = reply.version;
    }
  }

  #take(reply: SyncReply): Promise<void> {
    const rebuild = rebuildOf(reply, this.#target.isRebuilding);
    return this.#target.take(
      { ...reply, rebuild },
      { bytes: reply.snapshot, version: reply.version },
    );
  }

  async #page(allParts: boolean) {
    const options = { timeoutMs: TIMEOUT_MS };
    const { bytes } = this.#target.snapshot;
    // What is sent back counts as received, and may be forgotten by the platform.
    if (bytes.length > 0 && !hasBug("snapshot-not-kept")) await this.#target.keep();
    try {
      const request = { snapshot: bytes, limit: PAGE, allParts };
      return await this.#link.request(Sync.sync, request, options);
    } catch (error) {
      const isRefused =
        error instanceof RpcError && error.code === "INVALID_ARGUMENT" && bytes.length > 0;
      if (!isRefused) throw error;
      this.#target.forget();
      const request = { snapshot: EMPTY_SNAPSHOT.bytes, limit: PAGE, allParts: true };
      return this.#link.request(Sync.sync, request, options);
    }
  }
}

/** Only the first page says that it is of a rebuild: one that was interrupted goes on where it was. */
function rebuildOf({ rebuild, more, waits }: SyncReply, isRebuilding: boolean): Rows["rebuild"] {
  const isLast = !more && !waits;
  if (rebuild) return isLast ? "begins and ends" : "begins";
  return isRebuilding && isLast ? "ends" : undefined;
}
