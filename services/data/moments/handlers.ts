/** The doors of moments: posting, delivering, liking, commenting, deleting. Reading is in pages.ts. */
import {
  type CloseDeliveryRequest,
  type CommentMomentDataReply,
  type CommentMomentDataRequest,
  type DeleteCommentDataRequest,
  type DeliverMomentsRequest,
  type EraseMomentsRequest,
  type LikeMomentDataRequest,
  type MomentDataRequest,
  type MomentsDataReply,
  makeOpenDelivery,
  type OpenDeliveriesReply,
  type OpenDeliveriesRequest,
  type OpenDelivery,
  type PostMomentDataReply,
  type PostMomentDataRequest,
  type RetainMomentsRequest,
} from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import {
  type Key,
  Keyspace,
  Level,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { accepted, type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { versionBefore } from "../age.ts";
import { requireCaller } from "../authority.ts";
import { sequenceOf } from "../sequence-key.ts";
import { forgetAll, trimmedThrough, trimOperations } from "../trim.ts";
import { isTimeline, markOf, momentIdOf, parseMomentId } from "./client.ts";
import {
  actRow,
  authorKey,
  COMMENT_PREFIX,
  commentBytes,
  commentRow,
  deliveryBytes,
  idRow,
  likeRow,
  momentBytes,
  momentKey,
  nameInRow,
  nameOfPostRow,
  openKey,
  openRow,
  postRow,
  pullRow,
  readComment,
  readDelivery,
  remove,
  rowsOf,
  TIMED,
  timelineKey,
  timelineRow,
  toldRow,
  upsert,
} from "./rows.ts";
import type { MomentSight } from "./sight.ts";

const COMMENTS_MAX = 1_000;
const TIMELINES_AT_ONCE = 16;
const OPEN_MAX = 50;
/** Longer than a post takes from being listed as open to its commit. */
const COMMIT_MS_MAX = 60_000;
const PAGE = 500;
const EMPTY = Buffer.alloc(0);

export interface MomentsDataParts {
  readonly kv: KvClient;
  readonly sight: MomentSight;
  /** How many share the work of looking after open deliveries. */
  readonly shares: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class MomentsDataHandlers {
  readonly #parts: MomentsDataParts;

  constructor(parts: MomentsDataParts) {
    this.#parts = parts;
  }

  async post(request: PostMomentDataRequest, call: Call): Promise<PostMomentDataReply> {
    requireCaller(call, ["moments"], "posting moments");
    const { moment, to, pulling } = request;
    requireArgument(moment !== undefined, "there is no moment");
    const authorId = this.#parts.sight.viewer(call);
    const { clientMomentId, postedAtMs } = moment;
    const name = { authorId, atMs: postedAtMs, mark: markOf(clientMomentId) };
    const momentId = momentIdOf(name);
    const key = authorKey(authorId);
    const told = await this.#told(key, pulling, forward(call));
    const untold = pulling.filter((userId) => !told.has(userId));
    const delivery = { authorId, momentId, postedAtMs, to, pulling: untold };
    const row = idRow(clientMomentId);
    const guards = [{ guard: { case: "row", value: { row, version: 0 } } } as const];
    const operations = [
      upsert(row, Buffer.from(momentId)),
      upsert(postRow(name), momentBytes(moment)),
      upsert(openRow(momentId), deliveryBytes(delivery)),
    ];
    // Before the commit point: a moment that is there is always found to be open.
    const listed = upsert(Buffer.from(authorId), Buffer.from(String(postedAtMs)));
    await this.#change(this.#openKey(authorId), [listed], forward(call));
    const { applied } = await this.#parts.kv.change(
      { key, change: { guards, operations } },
      forward(accepted(call)),
    );
    if (applied) return { delivery };
    const before = await this.#row(key, row, forward(call));
    const standing = Buffer.from(before?.value ?? EMPTY).toString();
    return { delivery: makeOpenDelivery({ authorId, momentId: standing }) };
  }

  async #told(key: Key, userIds: readonly string[], options: CallOptions) {
    if (userIds.length === 0) return new Set<string>();
    const rows = userIds.map(toldRow);
    const found = await this.#parts.kv.getRows(
      { key, rows, marks: [], level: Level.STRONG },
      options,
    );
    return new Set(found.rows.map(({ row }) => nameInRow(row)));
  }

  /** moments: repeating it changes nothing. */
  async deliver({ delivery }: DeliverMomentsRequest, call: Call): Promise<MomentsDataReply> {
    requireCaller(call, ["moments"], "delivering moments");
    requireArgument(delivery !== undefined, "there is nothing to deliver");
    const { authorId, momentId, to, pulling } = delivery;
    requireArgument(
      parseMomentId(momentId)?.authorId === authorId,
      "the moment is not the author's",
    );
    const entries = [
      ...to.map((userId) => ({ userId, row: timelineRow(momentId) })),
      ...pulling.map((userId) => ({ userId, row: pullRow(authorId) })),
    ];
    const left = entries.values();
    const work = async () => {
      for (const { userId, row } of left) {
        await this.#change(timelineKey(userId), [upsert(row)], forward(call));
      }
    };
    await Promise.all(Array.from({ length: TIMELINES_AT_ONCE }, work));
    if (pulling.length > 0) {
      const operations = pulling.map((userId) => upsert(toldRow(userId)));
      await this.#change(authorKey(authorId), operations, forward(call));
    }
    return {};
  }

  async close({ authorId, momentId }: CloseDeliveryRequest, call: Call): Promise<MomentsDataReply> {
    requireCaller(call, ["moments"], "closing deliveries");
    await this.#change(authorKey(authorId), [remove(openRow(momentId))], forward(call));
    return {};
  }

  /** moments: what stopped on its way; and authors that have nothing open any more are taken off the list. */
  async open(request: OpenDeliveriesRequest, call: Call): Promise<OpenDeliveriesReply> {
    requireCaller(call, ["moments"], "open deliveries");
    const { share, beforeMs } = request;
    const options = forward(call);
    const key = openKey(share);
    const deliveries: OpenDelivery[] = [];
    for (let first: Buffer = EMPTY; deliveries.length < OPEN_MAX; ) {
      const scan = { first, end: EMPTY, limit: PAGE, level: Level.STRONG, reverse: false };
      const page = await this.#parts.kv.scanRows({ key, ...scan }, options);
      for (const { row, value, version } of page.rows) {
        const postedAtMs = Number(Buffer.from(value).toString());
        if (postedAtMs >= beforeMs) continue;
        const authorId = Buffer.from(row).toString();
        const rows = await this.#scan(authorKey(authorId), "w", options, OPEN_MAX);
        deliveries.push(...rows.map(readDelivery).filter((one) => one.postedAtMs < beforeMs));
        const isOver = rows.length === 0 && this.#parts.now() - postedAtMs > COMMIT_MS_MAX;
        if (isOver) await this.#takeOff(key, { row, version }, options);
      }
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) break;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
    return { deliveries };
  }

  async #takeOff(
    key: Key,
    stands: Pick<VersionedRow, "row" | "version">,
    options: CallOptions,
  ): Promise<void> {
    const guards = [{ guard: { case: "row", value: stands } } as const];
    const operations = [remove(Buffer.from(stands.row))];
    await this.#parts.kv.change({ key, change: { guards, operations } }, options);
  }

  async like({ momentId, liked }: LikeMomentDataRequest, call: Call): Promise<MomentsDataReply> {
    const { sight } = this.#parts;
    const viewer = sight.viewer(call);
    await sight.require(momentId, call);
    if (liked) await this.#noteAct(viewer, momentId, call);
    const operation = liked ? upsert(likeRow(viewer)) : remove(likeRow(viewer));
    await this.#change(momentKey(momentId), [operation], forward(call));
    return {};
  }

  async comment(request: CommentMomentDataRequest, call: Call): Promise<CommentMomentDataReply> {
    requireCaller(call, ["moments"], "commenting on moments");
    const { momentId, clientCommentId, comment } = request;
    requireArgument(comment !== undefined, "there is no comment");
    const { sight, kv } = this.#parts;
    const userId = sight.viewer(call);
    await sight.require(momentId, call);
    const key = momentKey(momentId);
    const before = await this.#scan(key, "c", forward(call), COMMENTS_MAX);
    if (before.length >= COMMENTS_MAX) {
      throw new RpcError("RESOURCE_EXHAUSTED", `a moment has at most ${COMMENTS_MAX} comments`);
    }
    await this.#noteAct(userId, momentId, call);
    const id = Buffer.from(`${userId}/${clientCommentId}`);
    const value = commentBytes({ ...comment, userId });
    const append = { case: "append", value: { id, prefix: COMMENT_PREFIX, value } } as const;
    const change = { guards: [], operations: [{ operation: append }] };
    const { results } = await kv.change({ key, change }, forward(call));
    return { commentId: String(results[0]!.number) };
  }

  /** So that what is somebody's is found when its account is deleted. */
  #noteAct(userId: string, momentId: string, call: Call): Promise<void> {
    return this.#change(authorKey(userId), [upsert(actRow(momentId))], forward(call));
  }

  async deleteComment(request: DeleteCommentDataRequest, call: Call): Promise<MomentsDataReply> {
    const { momentId, commentId } = request;
    const { sight } = this.#parts;
    const { name } = await sight.require(momentId, call);
    const row = commentRow(Number(commentId));
    const found = await this.#row(momentKey(momentId), row, forward(call));
    if (found === undefined) return {};
    const viewer = sight.viewer(call);
    if (readComment(found).userId !== viewer && name.authorId !== viewer) {
      throw new RpcError("PERMISSION_DENIED", "this is neither your comment nor your moment");
    }
    await this.#change(momentKey(momentId), [remove(row)], forward(call));
    return {};
  }

  async delete({ momentId }: MomentDataRequest, call: Call): Promise<MomentsDataReply> {
    const { sight } = this.#parts;
    const { name } = await sight.require(momentId, call);
    if (name.authorId !== sight.viewer(call)) {
      throw new RpcError("PERMISSION_DENIED", "only its author deletes a moment");
    }
    await this.#deleteMoment(momentId, forward(call));
    return {};
  }

  /** Timelines lose it when they are read next. The client's id stays: a repeated post makes no new one. */
  async #deleteMoment(momentId: string, options: CallOptions): Promise<void> {
    const { authorId, ...place } = parseMomentId(momentId)!;
    await this.#change(authorKey(authorId), [remove(postRow(place))], options);
    await forgetAll(this.#parts.kv, momentKey(momentId), options);
  }

  /** retention: what a timeline got before a time; what authors have stays until they delete it. */
  async retain({ table, beforeMs }: RetainMomentsRequest, call: Call): Promise<MomentsDataReply> {
    requireCaller(call, ["retention"], "forgetting what is old in timelines");
    requireArgument(isTimeline(table), "only timelines forget by age");
    const { kv } = this.#parts;
    const options = forward(call);
    const key = { keyspace: Keyspace.MOMENTS, key: Buffer.from(table) };
    const found = await kv.getRows({ key, rows: [], marks: [], level: Level.STRONG }, options);
    const kind = { rowPrefix: TIMED, appendIds: false };
    const question = { key, fromVersion: trimmedThrough(found.trims, kind), beforeMs, timeOf };
    const throughVersion = await versionBefore(kv, question, options);
    const operations = trimOperations(found.trims, { ...kind, throughVersion });
    if (operations.length > 0) await this.#change(key, operations, options);
    return {};
  }

  async erase({ userId }: EraseMomentsRequest, call: Call): Promise<MomentsDataReply> {
    requireCaller(call, ["account"], "erasing moments");
    const options = forward(call);
    const key = authorKey(userId);
    for (const { row } of await this.#all(key, "a", options)) {
      await this.#eraseIn(nameInRow(row), userId, options);
    }
    for (const { row } of await this.#all(key, "p", options)) {
      await forgetAll(this.#parts.kv, momentKey(momentIdOf(nameOfPostRow(userId, row))), options);
    }
    await this.#change(this.#openKey(userId), [remove(Buffer.from(userId))], options);
    await forgetAll(this.#parts.kv, key, options);
    await forgetAll(this.#parts.kv, timelineKey(userId), options);
    return {};
  }

  async #eraseIn(momentId: string, userId: string, options: CallOptions): Promise<void> {
    const key = momentKey(momentId);
    const comments = await this.#all(key, "c", options);
    const own = comments.filter((row) => readComment(row).userId === userId);
    const operations = [remove(likeRow(userId)), ...own.map(({ row }) => remove(Buffer.from(row)))];
    await this.#change(key, operations, options);
  }

  async #all(key: Key, kind: string, options: CallOptions): Promise<VersionedRow[]> {
    const rows: VersionedRow[] = [];
    const { end, ...range } = rowsOf(kind);
    for (let first: Buffer = range.first; ; ) {
      const scan = { first, end, limit: PAGE, level: Level.STRONG, reverse: false };
      const page = await this.#parts.kv.scanRows({ key, ...scan }, options);
      rows.push(...page.rows);
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) return rows;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
  }

  async #scan(key: Key, kind: string, options: CallOptions, limit: number) {
    const range = { ...rowsOf(kind), limit, level: Level.STRONG, reverse: false };
    return (await this.#parts.kv.scanRows({ key, ...range }, options)).rows;
  }

  async #row(key: Key, row: Buffer, options: CallOptions): Promise<VersionedRow | undefined> {
    const request = { key, rows: [row], marks: [], level: Level.STRONG };
    return (await this.#parts.kv.getRows(request, options)).rows[0];
  }

  async #change(key: Key, operations: RowOperation[], options: CallOptions): Promise<void> {
    await this.#parts.kv.change({ key, change: { guards: [], operations } }, options);
  }

  #openKey(authorId: string): Key {
    return openKey(murmur3(Buffer.from(authorId)) % this.#parts.shares);
  }
}

/** When the moment of a timeline's row was posted. */
function timeOf({ row }: VersionedRow): number | undefined {
  const isTimed = TIMED.equals(Buffer.from(row.subarray(0, TIMED.length)));
  return isTimed ? sequenceOf(row.subarray(0, TIMED.length + 8)) : undefined;
}
