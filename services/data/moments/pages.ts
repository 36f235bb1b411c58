/**
 * Reading moments, newest first, in pages. A timeline is what was delivered into it, and what its owner pulls
 * from authors who have more contacts than are delivered to; both are read below the same cursor and joined.
 * What a page holds is checked now, not when it was delivered: contacts change, and moments are deleted.
 */
import type { Moment, MomentsPage } from "../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import type {
  MomentDataRequest,
  MomentsOfDataRequest,
  TimelineDataRequest,
} from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { isBefore, momentIdOf, parseMomentId } from "./client.ts";
import {
  authorKey,
  beforeTime,
  momentIdOfTimelineRow,
  nameInRow,
  nameOfPostRow,
  POSTS,
  rowsOf,
  TIMED,
  timelineKey,
  timelineRow,
} from "./rows.ts";
import type { Found, MomentSight } from "./sight.ts";

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 50;
/** Authors that one user pulls from. */
const PULLED_MAX = 200;

export class MomentPages {
  readonly #kv: KvClient;
  readonly #sight: MomentSight;

  constructor(kv: KvClient, sight: MomentSight) {
    this.#kv = kv;
    this.#sight = sight;
  }

  async timeline({ cursor, limit }: TimelineDataRequest, call: Call): Promise<MomentsPage> {
    const count = checkPage(cursor, limit);
    const circle = await this.#sight.circle(call);
    const viewer = this.#sight.viewer(call);
    const [delivered, authors] = await Promise.all([
      this.#delivered(viewer, { cursor, count }, call),
      this.#pulled(viewer, call),
    ]);
    const pulled = await Promise.all(
      authors
        .filter((authorId) => circle.has(authorId))
        .map((authorId) => this.#idsOf(authorId, { cursor, count }, call)),
    );
    const ids = [...new Set([...delivered, ...pulled.flat()])]
      .sort((a, b) => (isBefore(a, b) ? -1 : 1))
      .slice(0, count);
    const known = ids.filter((id) => {
      const { authorId } = parseMomentId(id)!;
      return authorId === viewer || circle.has(authorId);
    });
    const moments = await this.#load(known, circle, call);
    return { moments, cursor: ids.length < count ? "" : ids.at(-1)! };
  }

  async of({ authorId, cursor, limit }: MomentsOfDataRequest, call: Call): Promise<MomentsPage> {
    const count = checkPage(cursor, limit);
    if (!(await this.#sight.isLetIn(authorId, call))) return { moments: [], cursor: "" };
    const ids = await this.#idsOf(authorId, { cursor, count }, call);
    const circle = await this.#sight.circle(call);
    const moments = await this.#load(ids, circle, call);
    return { moments, cursor: ids.length < count ? "" : ids.at(-1)! };
  }

  async get({ momentId }: MomentDataRequest, call: Call): Promise<Moment> {
    const found = await this.#sight.require(momentId, call);
    return this.#sight.shown(found, await this.#sight.circle(call), call);
  }

  async #load(ids: readonly string[], circle: ReadonlySet<string>, call: Call): Promise<Moment[]> {
    const byAuthor = Map.groupBy(ids, (id) => parseMomentId(id)!.authorId);
    const found = await Promise.all(
      [...byAuthor].map(([authorId, own]) => this.#sight.visible(authorId, own, call)),
    );
    const byId = new Map<string, Found>(found.flat().map((one) => [one.momentId, one]));
    const inOrder = ids.flatMap((id) => byId.get(id) ?? []);
    return Promise.all(inOrder.map((one) => this.#sight.shown(one, circle, call)));
  }

  /** Ids below the cursor in what was delivered to somebody. */
  async #delivered(userId: string, { cursor, count }: Place, call: Call): Promise<string[]> {
    const { first, end } = rowsOf(TIMED.toString()[0]!);
    const scan = { first, end: cursor === "" ? end : timelineRow(cursor), limit: count };
    const request = { key: timelineKey(userId), ...scan, level: Level.STRONG, reverse: true };
    const { rows } = await this.#kv.scanRows(request, forward(call));
    return rows.map(({ row }) => momentIdOfTimelineRow(row));
  }

  async #pulled(userId: string, call: Call): Promise<string[]> {
    const scan = { ...rowsOf("f"), limit: PULLED_MAX, level: Level.STRONG, reverse: false };
    const { rows } = await this.#kv.scanRows({ key: timelineKey(userId), ...scan }, forward(call));
    return rows.map(({ row }) => nameInRow(row));
  }

  /** Ids below the cursor of one author's. */
  async #idsOf(authorId: string, { cursor, count }: Place, call: Call): Promise<string[]> {
    const { first, end } = rowsOf(POSTS.toString()[0]!);
    const last = parseMomentId(cursor);
    // Of the cursor's own millisecond too: which of these are below it is told by their ids.
    const below = last === undefined ? end : beforeTime(POSTS, last.atMs + 1);
    const scan = { first, end: below, limit: count + 1, level: Level.STRONG, reverse: true };
    const { rows } = await this.#kv.scanRows({ key: authorKey(authorId), ...scan }, forward(call));
    const ids = rows.map(({ row }) => momentIdOf(nameOfPostRow(authorId, row)));
    return ids.filter((id) => cursor === "" || isBefore(cursor, id)).slice(0, count);
  }
}

interface Place {
  readonly cursor: string;
  readonly count: number;
}

function checkPage(cursor: string, limit: number): number {
  requireArgument(limit <= LIMIT_MAX, `a page has at most ${LIMIT_MAX} moments`);
  const isPlace = cursor === "" || parseMomentId(cursor) !== undefined;
  requireArgument(isPlace, "this is no cursor: begin with an empty one");
  return limit || LIMIT_DEFAULT;
}
