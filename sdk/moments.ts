/** Moments: what users show their contacts. */
import {
  type Moment,
  Moments,
  type MomentsPage,
  MomentVisibilityKind,
  makeMomentVisibility,
} from "../protos/gen/tricampus/client/v1/moments_codec.ts";
import type { MediaLink } from "./media.ts";
import { REQUEST_OPTIONS } from "./requester.ts";
import { withScheme } from "./transports/transport.ts";

export interface NewMoment {
  readonly text?: string;
  /** Media ids of images of the user's own (`client.media.upload`). */
  readonly imageIds?: readonly string[];
  /** Default: all contacts. */
  readonly to?:
    | "contacts"
    | "nobody"
    | { tags: readonly string[] }
    | { butTags: readonly string[] };
}

export class MomentBook {
  readonly #link: MediaLink;

  constructor(link: MediaLink) {
    this.#link = link;
  }

  /** Resolves to the moment's id. Repeating it with the same client id posts nothing twice. */
  async post(
    { text = "", imageIds = [], to = "contacts" }: NewMoment,
    clientMomentId: string = crypto.randomUUID(),
  ): Promise<string> {
    const visibility = visibilityOf(to);
    const request = { clientMomentId, text, imageIds: [...imageIds], visibility };
    return (await this.#link.request(Moments.post, request, REQUEST_OPTIONS)).momentId;
  }

  /** The user's own and its contacts', newest first. `cursor`: of the page before. */
  timeline({ cursor = "", limit = 0 } = {}): Promise<MomentsPage> {
    return this.#link.request(Moments.timeline, { cursor, limit }, REQUEST_OPTIONS);
  }

  of(userId: string, { cursor = "", limit = 0 } = {}): Promise<MomentsPage> {
    return this.#link.request(Moments.of, { userId, cursor, limit }, REQUEST_OPTIONS);
  }

  get(momentId: string): Promise<Moment> {
    return this.#link.request(Moments.get, { momentId }, REQUEST_OPTIONS);
  }

  async like(momentId: string, liked = true): Promise<void> {
    await this.#link.request(Moments.like, { momentId, liked }, REQUEST_OPTIONS);
  }

  /** Resolves to the comment's id. */
  async comment(
    momentId: string,
    text: string,
    { replyToUserId = "", clientCommentId = crypto.randomUUID() as string } = {},
  ): Promise<string> {
    const request = { momentId, clientCommentId, text, replyToUserId };
    return (await this.#link.request(Moments.comment, request, REQUEST_OPTIONS)).commentId;
  }

  async deleteComment(momentId: string, commentId: string): Promise<void> {
    await this.#link.request(Moments.deleteComment, { momentId, commentId }, REQUEST_OPTIONS);
  }

  async delete(momentId: string): Promise<void> {
    await this.#link.request(Moments.delete, { momentId }, REQUEST_OPTIONS);
  }

  /** An address for an <img>, good for an hour. */
  async imageUrl(momentId: string, mediaId: string, { thumbnail = false } = {}): Promise<string> {
    const request = { momentId, mediaId, thumbnail };
    const { path } = await this.#link.request(Moments.imageUrl, request, REQUEST_OPTIONS);
    return `${withScheme(this.#link.urls[0]!, "http")}${path}`;
  }
}

function visibilityOf(to: NonNullable<NewMoment["to"]>) {
  if (to === "contacts") return makeMomentVisibility({ kind: MomentVisibilityKind.CONTACTS });
  if (to === "nobody") return makeMomentVisibility({ kind: MomentVisibilityKind.PRIVATE });
  if ("tags" in to)
    return makeMomentVisibility({ kind: MomentVisibilityKind.TAGS, tagIds: [...to.tags] });
  const tagIds = [...to.butTags];
  return makeMomentVisibility({ kind: MomentVisibilityKind.ALL_BUT_TAGS, tagIds });
}
