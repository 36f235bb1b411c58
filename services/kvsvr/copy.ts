/**
 * What makes a disk the memory of a new member (S3): every key of both others, with everything that
 * their votes have left behind; of a group that was forced, its keeper's alone. A value that the lost
 * disk had accepted together with one of them is then found here as it was there, whichever two are asked.
 *
 * All of them answer in the group's new epoch: what they copy out was voted before, or is decided by
 * them. What changes while this runs comes through their pipelines when it is over.
 */
import {
  type FetchVotesReply,
  type ListedVersion,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { rest } from "../svrkit/rest.ts";
import { leftVotes } from "./left-votes.ts";
import { planted } from "./protocol/planted.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/entry.ts";

const RETRY_MS = 500;
const SIDE_BY_SIDE = 8;
/** After so many rounds a value that nobody serves is left to the reads that will ask for it. */
const ROUNDS_MAX = 5;

export class Copy {
  readonly #replica: Replica;
  readonly #repair: Repair;
  /** The replicas that together hold everything: both others, or the group's keeper alone. */
  readonly sources: readonly number[];
  #stopped = false;

  constructor(replica: Replica, repair: Repair, sources: readonly number[]) {
    this.#replica = replica;
    this.#repair = repair;
    this.sources = sources;
  }

  /** True when all of it is durable here; false when stopped. */
  async run(): Promise<boolean> {
    const { log, state } = this.#replica;
    for (let rounds = 0; !this.#stopped; ) {
      try {
        const missing = await this.#copyOnce();
        rounds += 1;
        await state.durable(state.logged);
        if (missing === 0) return !this.#stopped;
        log.warn({ missing }, "values known to be decided are held by neither of the others");
        if (rounds === ROUNDS_MAX) return !this.#stopped;
      } catch (error) {
        log.debug({ reason: RpcError.from(error).message }, "copying is tried again");
      }
      await rest(RETRY_MS);
    }
    return false;
  }

  /** Values that could not be had. */
  async #copyOnce(): Promise<number> {
    let missing = 0;
    for (const peer of this.sources) {
      missing += await this.#repair.compare(peer, (page) => this.#copyVotes(peer, page));
    }
    return missing;
  }

  async #copyVotes(peer: number, page: readonly ListedVersion[]): Promise<void> {
    if (planted("votes-not-copied")) return;
    const voted = page.filter((listed) => listed.votes);
    for (let at = 0; at < voted.length; at += SIDE_BY_SIDE) {
      const some = voted.slice(at, at + SIDE_BY_SIDE);
      await Promise.all(some.map((listed) => this.#copyVotesOn(peer, listed)));
    }
  }

  async #copyVotesOn(peer: number, listed: ListedVersion): Promise<void> {
    const entry = this.#replica.entry(listed.key);
    entry.pins += 1;
    try {
      for await (const reply of leftVotes((aboveVersion) => this.#ask(peer, entry, aboveVersion))) {
        this.#replica.take(entry, { kind: "copied", reply });
        if (this.#stopped) return;
      }
    } finally {
      entry.pins -= 1;
    }
  }

  #ask(peer: number, { key }: Entry, aboveVersion: number): Promise<FetchVotesReply> {
    const { peers, epoch } = this.#replica;
    return peers.call(peer, ReplicaService.fetchVotes, { key, aboveVersion, epoch, move: 0 });
  }

  stop(): void {
    this.#stopped = true;
  }
}
