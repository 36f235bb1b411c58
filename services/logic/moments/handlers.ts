/** Moments: what users may ask. Everything here is of a lower priority than messages. */
import type { MediaUrlReply } from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import { MediaKind } from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import {
  type CommentMomentReply,
  type CommentMomentRequest,
  type DeleteCommentRequest,
  type LikeMomentRequest,
  type Moment,
  type MomentImageRequest,
  type MomentReply,
  type MomentRequest,
  type MomentsOfRequest,
  type MomentsPage,
  MomentVisibilityKind,
  makeMomentVisibility,
  type PostMomentReply,
  type PostMomentRequest,
  type TimelineRequest,
} from "../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import { MediaData } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { MomentsData } from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { pathOf } from "../../data/media/client.ts";
import { markOf, parseMomentId } from "../../data/moments/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { orAsBefore } from "../../svrkit/version-before.ts";
import { requireCharacters, requireClientId, requireId, requireMediaId } from "../arguments.ts";
import type { Deliveries } from "./deliveries.ts";
import { audienceOf, type Circle, deliveryOf } from "./plan/audience.ts";

const TEXT_CHARACTERS_MAX = 2_000;
const COMMENT_CHARACTERS_MAX = 500;
const IMAGES_MAX = 9;
const TAGS_MAX = 20;
const CONTACTS_PAGE = 1_000;

export interface MomentsParts {
  readonly tickets: TicketVerifier;
  readonly moments: Callee;
  readonly contacts: Callee;
  readonly media: Callee;
  readonly deliveries: Pick<Deliveries, "begin">;
  readonly fanoutMax: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class MomentsHandlers {
  readonly #parts: MomentsParts;

  constructor(parts: MomentsParts) {
    this.#parts = parts;
  }

  async post(request: PostMomentRequest, call: Call): Promise<PostMomentReply> {
    const { tickets, moments, deliveries, fanoutMax, now } = this.#parts;
    const { userId: authorId } = tickets.userOf(call);
    checkPost(request);
    const { clientMomentId, text, imageIds } = request;
    const visibility = request.visibility ?? makeMomentVisibility({});
    await this.#requireImages(imageIds, authorId, call);
    const { viewers, isFixed } = audienceOf(visibility, await this.#circle(authorId, call));
    const facts = { clientMomentId, text, imageIds, visibility, postedAtMs: now() };
    const moment = { ...facts, audience: isFixed ? [...viewers] : [] };
    const { to, pulling } = deliveryOf(authorId, viewers, fanoutMax);
    await this.#keep(imageIds, { mark: markOf(clientMomentId), kept: true }, call);
    const asked = { moment, to: [...to], pulling: [...pulling] };
    const { delivery } = await moments.call(MomentsData.post, asked, forward(call));
    const { momentId } = delivery!;
    if (delivery!.to.length > 0) deliveries.begin(delivery!);
    return { momentId };
  }

  async #requireImages(ids: readonly string[], authorId: string, call: Call): Promise<void> {
    await Promise.all(
      ids.map(async (mediaId) => {
        const asked = { mediaId, conversationId: "" };
        const facts = await this.#parts.media.call(MediaData.facts, asked, forward(call));
        const isGood =
          facts.ownerId === authorId && facts.finished && facts.kind === MediaKind.IMAGE;
        requireArgument(isGood, "a moment shows finished images of its author's own");
      }),
    );
  }

  /** So that images of a moment that stays do not go by age. Before, they were kept for as long as others. */
  async #keep(
    mediaIds: readonly string[],
    { mark: moment, kept }: { mark: string; kept: boolean },
    call: Call,
  ): Promise<void> {
    if (mediaIds.length === 0) return;
    const request = { mediaIds: [...mediaIds], moment, kept };
    await orAsBefore(this.#parts.media.call(MediaData.keep, request, forward(call)), () => ({}));
  }

  async #circle(userId: string, call: Call): Promise<Circle> {
    const contacts = new Map<string, readonly string[]>();
    const blocked = new Set<string>();
    for (let afterVersion = 0; ; ) {
      const request = { userId, afterVersion, limit: CONTACTS_PAGE };
      const page = await this.#parts.contacts.call(ContactData.changes, request, forward(call));
      for (const { change } of page.changes) {
        if (change?.case === "contact") contacts.set(change.value.userId, change.value.tagIds);
        if (change?.case === "goneContact") contacts.delete(change.value);
        if (change?.case === "blocked") blocked.add(change.value);
        if (change?.case === "unblocked") blocked.delete(change.value);
      }
      if (!page.more) break;
      afterVersion = page.throughVersion;
    }
    for (const other of blocked) contacts.delete(other);
    return { contacts };
  }

  timeline(request: TimelineRequest, call: Call): Promise<MomentsPage> {
    return this.#parts.moments.call(MomentsData.timeline, request, forward(call));
  }

  of({ userId: authorId, cursor, limit }: MomentsOfRequest, call: Call): Promise<MomentsPage> {
    requireId(authorId, "a user id");
    const request = { authorId, cursor, limit };
    return this.#parts.moments.call(MomentsData.of, request, forward(call));
  }

  get(request: MomentRequest, call: Call): Promise<Moment> {
    return this.#parts.moments.call(MomentsData.get, request, forward(call));
  }

  like(request: LikeMomentRequest, call: Call): Promise<MomentReply> {
    return this.#parts.moments.call(MomentsData.like, request, forward(call));
  }

  async comment(request: CommentMomentRequest, call: Call): Promise<CommentMomentReply> {
    const { momentId, clientCommentId, text, replyToUserId } = request;
    const { userId } = this.#parts.tickets.userOf(call);
    requireClientId(clientCommentId, "a comment's id");
    requireCharacters(text, "a comment", { min: 1, max: COMMENT_CHARACTERS_MAX });
    if (replyToUserId !== "") requireId(replyToUserId, "a user id");
    const comment = { userId, text, replyToUserId, atMs: this.#parts.now() };
    const asked = { momentId, clientCommentId, comment };
    return this.#parts.moments.call(MomentsData.comment, asked, forward(call));
  }

  deleteComment(request: DeleteCommentRequest, call: Call): Promise<MomentReply> {
    requireArgument(/^[1-9][0-9]{0,9}$/.test(request.commentId), "this is no comment's id");
    return this.#parts.moments.call(MomentsData.deleteComment, request, forward(call));
  }

  async delete(request: MomentRequest, call: Call): Promise<MomentReply> {
    const { moments } = this.#parts;
    const { imageIds } = await moments.call(MomentsData.get, request, forward(call));
    const reply = await moments.call(MomentsData.delete, request, forward(call));
    const { mark } = parseMomentId(request.momentId)!;
    // Those that were deleted by themselves are nobody's any more.
    await this.#keep(imageIds, { mark, kept: false }, call).catch(ifNotGone);
    return reply;
  }

  async imageUrl(request: MomentImageRequest, call: Call): Promise<MediaUrlReply> {
    const { momentId, mediaId, thumbnail } = request;
    const moment = await this.#parts.moments.call(MomentsData.get, { momentId }, forward(call));
    if (!moment.imageIds.includes(mediaId)) {
      throw new RpcError("NOT_FOUND", "this moment has no such image");
    }
    const asked = { mediaId, conversationId: "", thumbnail, momentOf: moment.authorId };
    const sealed = await this.#parts.media.call(MediaData.seal, asked, forward(call));
    return { path: pathOf({ mediaId, thumbnail, ...sealed }), expiresAtMs: sealed.expiresAtMs };
  }
}

function ifNotGone(error: unknown): void {
  if (RpcError.from(error).code !== "NOT_FOUND") throw error;
}

function checkPost({ clientMomentId, text, imageIds, visibility }: PostMomentRequest): void {
  requireClientId(clientMomentId, "a moment's id");
  requireCharacters(text, "a moment's text", { max: TEXT_CHARACTERS_MAX });
  requireArgument(text !== "" || imageIds.length > 0, "a moment has a text or an image");
  requireArgument(imageIds.length <= IMAGES_MAX, `a moment has at most ${IMAGES_MAX} images`);
  requireArgument(new Set(imageIds).size === imageIds.length, "an image is there twice");
  for (const mediaId of imageIds) requireMediaId(mediaId, "an image's media id");
  if (visibility === undefined) return;
  const { kind, tagIds } = visibility;
  const takesTags =
    kind === MomentVisibilityKind.TAGS || kind === MomentVisibilityKind.ALL_BUT_TAGS;
  requireArgument(takesTags || tagIds.length === 0, "tags go with TAGS and ALL_BUT_TAGS");
  requireArgument(!takesTags || tagIds.length > 0, "no tag is named");
  requireArgument(tagIds.length <= TAGS_MAX, `${TAGS_MAX} tags can be named`);
}
