/**
 * Copies slots from another replica, key by key, only what is newer there: of the source of a move, or
 * of the members of this replica's own group that have taken over before it.
 *
 * Values are decided facts and may come from anybody. What votes have left behind is copied only from a
 * replica that votes on them no more, or, when it is lost, from both others of the group (copy.ts).
 */
import {
  type FetchReply,
  type ListedVersion,
  Replica as ReplicaService,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Method } from "../../svrkit/method.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import { leftVotes } from "../left-votes.ts";
import { FETCH_BYTES_MAX } from "../limits.ts";
import { openDecision, sealDecision } from "../protocol/decision.ts";
import { NO_OPERATIONS, OPERATION_HEAD_BYTES } from "../protocol/operations.ts";
import { planted } from "../protocol/planted.ts";
import type { Replica } from "../replica.ts";
import type { Entry } from "../storage/entry.ts";
import { slotGroup } from "../storage/record.ts";
import type { FloorSpan } from "./plan/floors.ts";
import type { SlotSpan } from "./plan/held-slots.ts";

const PAGE = 500;
const SIDE_BY_SIDE = 16;
const PRESSED_REST_MS = 100;

const copied = monitorId("kvsvr.move_keys_copied");

/** Who is copied from. */
export interface CopySource {
  call<I, O>(method: Method<I, O>, request: I): Promise<O>;
  /** Of the common group; 0 when the source is of another one. */
  readonly epoch: number;
  /** The move for which the source is sealed; 0: it is of the same group. */
  readonly move: number;
}

interface Pass {
  /** Copies what votes have left behind, too. */
  readonly votes: boolean;
  /** Leaves half of the time to everybody else. */
  readonly gently: boolean;
  /** Where it is noted what the source has. */
  readonly found?: Found;
}

/** What a source has of some slots: what it does not name is absent at their floors. */
export interface Found {
  /** Names of its keys. */
  readonly names: Set<string>;
  readonly floors: FloorSpan[];
}

export class SlotCopy {
  readonly #replica: Replica;
  stopped = false;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** One pass over these slots; durable when it resolves, with how many keys were newer there. */
  async pass(source: CopySource, spans: readonly SlotSpan[], pass: Pass): Promise<number> {
    const { state } = this.#replica;
    let newer = 0;
    for (const span of spans) newer += await this.#passSpan(source, span, pass);
    await state.durable(state.logged);
    return newer;
  }

  async #passSpan(source: CopySource, span: SlotSpan, pass: Pass): Promise<number> {
    let newer = 0;
    let cursor: Uint8Array = Buffer.from([span.keyspace, span.first >> 8, span.first & 0xff]);
    const end = slotGroup(Buffer.from([span.keyspace, span.last >> 8, span.last & 0xff]));
    while (cursor.length > 0) {
      this.#requireRunning();
      const startedMs = monotonicMs();
      const request = { cursor, limit: PAGE, epoch: source.epoch };
      const page = await source.call(ReplicaService.listVersions, request);
      requireAnswer(page.barred);
      pass.found?.floors.push(...page.floors);
      const inside = page.versions.filter(({ key }) => {
        return slotGroup(this.#replica.entry(key).registerKey) <= end;
      });
      for (const { key } of inside) pass.found?.names.add(this.#replica.entry(key).name);
      newer += await this.#copyPage(source, inside, pass);
      cursor = inside.length < page.versions.length ? new Uint8Array(0) : page.cursor;
      if (!pass.gently) continue;
      while (this.#replica.state.isPressed && !this.stopped) await rest(PRESSED_REST_MS);
      await rest(monotonicMs() - startedMs);
    }
    return newer;
  }

  async #copyPage(source: CopySource, page: readonly ListedVersion[], pass: Pass): Promise<number> {
    let newer = 0;
    for (let at = 0; at < page.length; at += SIDE_BY_SIDE) {
      const some = page.slice(at, at + SIDE_BY_SIDE);
      const moved = await Promise.all(some.map((listed) => this.#copyKey(source, listed, pass)));
      newer += moved.filter((isNewer) => isNewer).length;
    }
    return newer;
  }

  async #copyKey(source: CopySource, listed: ListedVersion, pass: Pass): Promise<boolean> {
    const entry = this.#replica.entry(listed.key);
    entry.pins += 1;
    try {
      const isNewer = await this.#fetch(source, entry, listed);
      if (pass.votes && (listed.votes || entry.register.known.version < listed.version))
        await this.#fetchVotes(source, entry);
      return isNewer;
    } finally {
      entry.pins -= 1;
    }
  }

  /** Whatever the source holds above what is held here. */
  async #fetch(source: CopySource, entry: Entry, { version }: ListedVersion): Promise<boolean> {
    let isNewer = false;
    while (entry.register.heldVersion < version || !isWhole(entry)) {
      this.#requireRunning();
      const request = {
        key: entry.key,
        aboveVersion: entry.register.heldVersion,
        epoch: source.epoch,
        bytesMax: FETCH_BYTES_MAX,
      };
      const reply = await source.call(ReplicaService.fetch, request);
      requireAnswer(reply.barred);
      if (reply.unavailable) return isNewer;
      const before = entry.register;
      this.#replica.take(entry, { kind: "fetched", reply: plantedReply(reply) });
      if (entry.register === before) return isNewer;
      monitor.add(copied, isNewer ? 0 : 1);
      isNewer = true;
    }
    return isNewer;
  }

  async #fetchVotes(source: CopySource, entry: Entry): Promise<void> {
    if (planted("votes-dropped-by-move")) return;
    const { epoch, move } = source;
    const ask = (aboveVersion: number) => {
      this.#requireRunning();
      const request = { key: entry.key, aboveVersion, epoch, move };
      return source.call(ReplicaService.fetchVotes, request);
    };
    for await (const reply of leftVotes(ask)) this.#replica.take(entry, { kind: "copied", reply });
  }

  #requireRunning(): void {
    if (this.stopped) throw new RpcError("UNAVAILABLE", "this replica is stopping");
  }
}

/** A table that is being fetched in parts has no digest until the last one. */
function isWhole({ register }: Entry): boolean {
  return register.heldDigest !== 0 || register.heldVersion === 0;
}

function requireAnswer(barred: string): void {
  if (barred !== "") throw new RpcError("UNAVAILABLE", barred);
}

/** The bug planted: the newest operation of a key is not taken along. */
function plantedReply(reply: FetchReply): FetchReply {
  if (!planted("ids-dropped-by-move") || reply.body?.case !== "decision") return reply;
  const { version, owner, key } = openDecision(reply.body.value);
  const { kept, forgottenMs } = key.operations ?? NO_OPERATIONS;
  const operations = { kept: kept.subarray(0, kept.length - OPERATION_HEAD_BYTES), forgottenMs };
  const { bytes } = sealDecision(version, owner, { case: "key", value: { ...key, operations } });
  return { ...reply, body: { case: "decision", value: bytes } };
}
