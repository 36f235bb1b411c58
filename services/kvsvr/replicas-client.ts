/**
 * The three replicas of a group one by one, for an operator: what each of them holds, listed in one
 * and the same order, asked again, fetched. These are the calls with which replicas compare
 * themselves; none of them changes anything.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type FetchReply,
  type QueryVersionReply,
  Replica as ReplicaService,
  type SlotFloor,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Method } from "../svrkit/method.ts";
import { rest } from "../svrkit/rest.ts";
import { orAsBefore } from "../svrkit/version-before.ts";
import { type Contents, contentsOf } from "./contents.ts";
import { latin1, registerKey, slotGroup } from "./storage/record.ts";

const CALL_TIMEOUT_MS = 5_000;
const ATTEMPTS = 3;
const ATTEMPT_PAUSE_MS = 200;
const PAGE = 1_000;
/** In place of the group's epoch, which rises when a replica is rebuilt. */
const ONLY_LOOKING = 0;

/** A decided version; 0 and 0: never written. */
export interface Seen {
  readonly version: number;
  readonly digest: number;
  /** Its value is not held. */
  readonly lacks: boolean;
}

interface ListedKey extends Seen {
  readonly key: Key;
  /** The register key: listings ascend by it, keyspace and slot first. */
  readonly name: string;
}

/** One key at every replica asked, in the order in which they were named. */
interface ComparedKey {
  readonly key: Key;
  /** Keyspace and slot as one number; it never falls from one key to the next. */
  readonly slotGroup: number;
  readonly at: readonly Seen[];
}

const ABSENT: Seen = { version: 0, digest: 0, lacks: false };

export class ReplicasClient {
  readonly #callee: Callee;

  /** `callee`: the group's three replicas in the order of their numbers. */
  constructor(callee: Callee) {
    this.#callee = callee;
  }

  /** Their campuses, in the order of their numbers. */
  get campuses(): readonly string[] {
    return this.#callee.peers.map((peer) => peer.campus);
  }

  /** Why a replica cannot be asked; undefined when it can. */
  async refusal(replica: number): Promise<string | undefined> {
    const request = { cursor: NO_BYTES, limit: 1, epoch: ONLY_LOOKING };
    try {
      const { barred } = await this.#call(replica, ReplicaService.listVersions, request);
      return barred === "" ? undefined : barred;
    } catch (error) {
      return RpcError.from(error).message;
    }
  }

  /** Every key that one of these replicas knows, slot by slot. */
  async *compare(replicas: readonly number[]): AsyncGenerator<ComparedKey> {
    const listings = replicas.map((replica) => this.#list(replica));
    const heads = await Promise.all(listings.map(next));
    for (;;) {
      const names = heads.flatMap((head) => (head === undefined ? [] : [head.name]));
      if (names.length === 0) return;
      const name = names.reduce((least, other) => (other < least ? other : least));
      const here = heads.map((head) => (head?.name === name ? head : undefined));
      const { key } = here.find((head) => head !== undefined)!;
      const group = slotGroup(Buffer.from(name, "latin1"));
      yield { key, slotGroup: group, at: here.map((head) => head ?? ABSENT) };
      for (const [i, head] of here.entries()) {
        if (head !== undefined) heads[i] = await next(listings[i]!);
      }
    }
  }

  async *#list(replica: number): AsyncGenerator<ListedKey> {
    let cursor = NO_BYTES;
    do {
      const request = { cursor, limit: PAGE, epoch: ONLY_LOOKING };
      const page = await this.#call(replica, ReplicaService.listVersions, request);
      if (page.barred !== "") throw this.#failure(replica, "UNAVAILABLE", page.barred);
      for (const { key, version, digest, lacks } of page.versions) {
        if (key !== undefined)
          yield { key, name: latin1(registerKey(key)), version, digest, lacks };
      }
      if (page.cursor.length > 0 && Buffer.compare(page.cursor, cursor) <= 0)
        throw this.#failure(replica, "INTERNAL", "its listing does not come to an end");
      cursor = page.cursor;
    } while (cursor.length > 0);
  }

  /** What is absent in these slots is, at this replica, of these versions. */
  async floors(replica: number): Promise<readonly SlotFloor[]> {
    const asked = this.#call(replica, ReplicaService.floors, {});
    // The version before forgot nothing.
    const { floors, barred } = await orAsBefore(asked, () => ({ floors: [], barred: "" }));
    if (barred !== "") throw this.#failure(replica, "UNAVAILABLE", barred);
    return floors;
  }

  /** What a replica durably knows of these keys now, in their order. */
  async query(replica: number, keys: readonly Key[]): Promise<readonly QueryVersionReply[]> {
    const request = { keys: [...keys], epoch: ONLY_LOOKING };
    const { replies } = await this.#call(replica, ReplicaService.queryVersions, request);
    if (replies.length === keys.length) return replies;
    throw this.#failure(replica, "INTERNAL", "it did not answer for every key");
  }

  /**
   * What a replica holds of a key: its decision, or the parts of the table, which together are the
   * table at the last part's version. Without a body: the key is absent, at its slot's floor. Empty when
   * the replica does not hold the newest it knows, or may not say.
   */
  async fetch(replica: number, key: Key): Promise<readonly FetchReply[]> {
    const parts: FetchReply[] = [];
    for await (const part of this.#parts(replica, key)) {
      if (part === undefined) return [];
      if (part.body === undefined) return [part];
      parts.push(part);
    }
    return parts;
  }

  /** The same part by part; undefined: of what came before nothing counts. */
  async *#parts(replica: number, key: Key): AsyncGenerator<FetchReply | undefined> {
    for (let aboveVersion = 0; ; ) {
      const request = { key, aboveVersion, epoch: ONLY_LOOKING, bytesMax: 0 };
      const reply = await this.#call(replica, ReplicaService.fetch, request);
      const isRefused = reply.unavailable || reply.barred !== "";
      yield isRefused ? undefined : reply;
      if (isRefused || reply.body?.case !== "table") return;
      const { throughVersion } = reply.body.value;
      if (throughVersion === reply.version) return;
      if (throughVersion <= aboveVersion)
        throw this.#failure(replica, "INTERNAL", "a table does not come to an end");
      aboveVersion = throughVersion;
    }
  }

  /** What a replica holds of a key, from its value or rows; undefined as with `fetch`, or while it changes. */
  contents(replica: number, key: Key): Promise<Contents | undefined> {
    return contentsOf(this.#parts(replica, key));
  }

  /** One replica is asked and no other: after a broken connection, again. */
  async #call<I, O>(replica: number, method: Method<I, O>, request: I): Promise<O> {
    for (let attempt = 1; ; attempt++) {
      try {
        const options = { timeoutMs: CALL_TIMEOUT_MS };
        return await this.#callee.callOne(replica, method, request, options);
      } catch (thrown) {
        const error = RpcError.from(thrown);
        if (!error.retryable || attempt === ATTEMPTS)
          throw this.#failure(replica, error.code, error.message);
        await rest(ATTEMPT_PAUSE_MS);
      }
    }
  }

  #failure(replica: number, code: RpcError["code"], reason: string): RpcError {
    return new RpcError(code, `the replica in campus ${this.campuses[replica]}: ${reason}`);
  }
}

async function next(listing: AsyncGenerator<ListedKey>): Promise<ListedKey | undefined> {
  const { done, value } = await listing.next();
  return done === true ? undefined : value;
}
