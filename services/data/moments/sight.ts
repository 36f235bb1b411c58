/** Who may see a moment, and what of its likes and comments: asked with the viewer's ticket (promise 7). */
import {
  MomentVisibilityKind as Kind,
  type Moment,
} from "../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import type { StoredMoment } from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { sequenceOf } from "../sequence-key.ts";
import { type MomentName, parseMomentId } from "./client.ts";
import {
  authorKey,
  momentKey,
  nameInRow,
  postRow,
  readComment,
  readMoment,
  rowsOf,
  shownMoment,
} from "./rows.ts";

const SHOWN_MAX = 200;
const PAGE = 500;

export interface SightParts {
  readonly kv: KvClient;
  readonly tickets: TicketVerifier;
  /** The service contact-data. */
  readonly contacts: Callee;
}

export interface Found {
  readonly momentId: string;
  readonly name: MomentName;
  readonly stored: StoredMoment;
}

export class MomentSight {
  readonly #parts: SightParts;

  constructor(parts: SightParts) {
    this.#parts = parts;
  }

  viewer(call: Call): string {
    return this.#parts.tickets.userOf(call).userId;
  }

  /** The viewer's own contacts, without whom it has blocked. */
  async circle(call: Call): Promise<ReadonlySet<string>> {
    const userId = this.viewer(call);
    const contacts = new Set<string>();
    const blocked = new Set<string>();
    for (let afterVersion = 0; ; ) {
      const request = { userId, afterVersion, limit: PAGE };
      const page = await this.#parts.contacts.call(ContactData.changes, request, forward(call));
      for (const { change } of page.changes) {
        if (change?.case === "contact") contacts.add(change.value.userId);
        if (change?.case === "goneContact") contacts.delete(change.value);
        if (change?.case === "blocked") blocked.add(change.value);
        if (change?.case === "unblocked") blocked.delete(change.value);
      }
      if (!page.more) break;
      afterVersion = page.throughVersion;
    }
    for (const other of blocked) contacts.delete(other);
    return contacts;
  }

  /** Whether the viewer is a contact of an author's who did not block it. */
  async isLetIn(authorId: string, call: Call): Promise<boolean> {
    if (authorId === this.viewer(call)) return true;
    const request = { userId: authorId };
    const reach = await this.#parts.contacts.call(ContactData.reach, request, forward(call));
    return reach.contact && !reach.blocked;
  }

  /** Those of one author's moments that are there and that the viewer may see. */
  async visible(authorId: string, momentIds: readonly string[], call: Call): Promise<Found[]> {
    if (momentIds.length === 0 || !(await this.isLetIn(authorId, call))) return [];
    const names = momentIds.map((momentId) => parseMomentId(momentId)!);
    const rows = names.map(postRow);
    const { kv } = this.#parts;
    const request = { key: authorKey(authorId), rows, marks: [], level: Level.STRONG };
    const found = await kv.getRows(request, forward(call));
    return momentIds.flatMap((momentId, i) => {
      const row = found.rows.find((one) => rows[i]!.equals(one.row));
      const stored = row && readMoment(row);
      if (stored === undefined || !mayBeSeen(stored, authorId, this.viewer(call))) return [];
      return [{ momentId, name: names[i]!, stored }];
    });
  }

  /** One that the viewer may see; what it may not see looks as if it were not there. */
  async require(momentId: string, call: Call): Promise<Found> {
    const name = parseMomentId(momentId);
    const [found] = name === undefined ? [] : await this.visible(name.authorId, [momentId], call);
    if (found !== undefined) return found;
    throw new RpcError("NOT_FOUND", "there is no such moment, or you may not see it");
  }

  /** With what of its likes and comments the viewer may see: of mutual contacts. */
  async shown(
    { momentId, name, stored }: Found,
    circle: ReadonlySet<string>,
    call: Call,
  ): Promise<Moment> {
    const viewer = this.viewer(call);
    const isKnown = (user: string) =>
      user === viewer || user === name.authorId || viewer === name.authorId || circle.has(user);
    const scan = (kind: string) => {
      const range = { ...rowsOf(kind), limit: SHOWN_MAX, level: Level.STRONG, reverse: false };
      return this.#parts.kv.scanRows({ key: momentKey(momentId), ...range }, forward(call));
    };
    const [likes, comments] = await Promise.all([scan("l"), scan("c")]);
    return {
      ...shownMoment(momentId, stored, viewer === name.authorId),
      likedBy: likes.rows.map(({ row }) => nameInRow(row)).filter(isKnown),
      comments: comments.rows
        .map((row) => ({ ...readComment(row), commentId: String(sequenceOf(row.row)) }))
        .filter(({ userId }) => isKnown(userId)),
    };
  }
}

/** Of a viewer who is a contact of the author's, or the author. */
function mayBeSeen(
  { visibility, audience }: Pick<StoredMoment, "visibility" | "audience">,
  authorId: string,
  viewer: string,
): boolean {
  if (viewer === authorId) return true;
  switch (visibility?.kind) {
    case Kind.PRIVATE:
      return false;
    case Kind.TAGS:
    case Kind.ALL_BUT_TAGS:
      return audience.includes(viewer);
    default:
      return true;
  }
}
