/**
 * Contacts: what users may ask.
 *
 * A request concerns two users. It is committed in the table of who asks, then carried to who is asked,
 * then noted as carried; so is an answer. Each step is safe to repeat: who finds an open one (the
 * caller's retry, or a sync of the caller's devices) carries it again.
 */
import {
  type AnswerContactReply,
  type AnswerContactRequest,
  type AskContactReply,
  type AskContactRequest,
  type BlockRequest,
  type ContactChange,
  type ContactReply,
  type ContactRequest,
  ContactRequestState,
  type DeleteTagRequest,
  makeContactEntry,
  makeContactRequest,
  type RemoveContactRequest,
  type SetContactRequest,
  type SetPolicyRequest,
  type SetTagRequest,
} from "../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import {
  ContactData,
  DeliverContactReplyOutcome as Outcome,
} from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCharacters, requireClientId, requireId } from "../arguments.ts";
import type { Notifier } from "../notify/notifier.ts";

const TEXT_CHARACTERS_MAX = 200;
const REMARK_CHARACTERS_MAX = 64;
const TAG_NAME_CHARACTERS_MAX = 32;
const TAGS_MAX = 20;
const TAGS_PER_USER_MAX = 100;

export interface ContactParts {
  readonly tickets: TicketVerifier;
  readonly contacts: Callee;
  readonly notifier: Pick<Notifier, "hint">;
  /** What a user lets another one do has changed; resolves when everybody heeds it. */
  readonly reachChanged: (owner: string, other: string | undefined) => Promise<void>;
}

export class ContactHandlers {
  readonly #parts: ContactParts;

  constructor(parts: ContactParts) {
    this.#parts = parts;
  }

  async ask({ userId, text }: AskContactRequest, call: Call): Promise<AskContactReply> {
    const own = this.#requireOther(userId, call);
    requireCharacters(text, "a request's text", { max: TEXT_CHARACTERS_MAX });
    const { contact } = await this.#own(userId, call);
    if (contact !== undefined) return { state: ContactRequestState.ACCEPTED };
    const state = ContactRequestState.PENDING;
    const request = makeContactRequest({ userId, text, state, atMs: Date.now() });
    await this.#change([{ change: { case: "request", value: request } }], call, true);
    return { state: await this.#carryRequest(request, own, call) };
  }

  async answer({ userId, accept }: AnswerContactRequest, call: Call): Promise<AnswerContactReply> {
    const own = this.#requireOther(userId, call);
    const { incoming: asked, contact } = await this.#own(userId, call);
    if (asked === undefined) throw new RpcError("NOT_FOUND", "this user has not asked");
    const state = accept ? ContactRequestState.ACCEPTED : ContactRequestState.DECLINED;
    if (asked.state !== ContactRequestState.PENDING && asked.state !== state) {
      throw new RpcError("FAILED_PRECONDITION", "the request was answered before");
    }
    const answered = { ...asked, state };
    const changes: ContactChange[] = [{ change: { case: "request", value: answered } }];
    if (accept && contact === undefined) changes.push(contactSince(userId, Date.now()));
    await this.#change(changes, call, true);
    await this.#carryAnswer(answered, own, call);
    return {};
  }

  /** For sync, which found requests or answers that may not have reached the other side. */
  async finish(userIds: readonly string[], call: Call): Promise<void> {
    const { userId: own } = this.#parts.tickets.userOf(call);
    for (const userId of userIds) {
      const { incoming, outgoing } = await this.#own(userId, call);
      if (outgoing?.state === ContactRequestState.PENDING) {
        await this.#carryRequest(outgoing, own, call);
      }
      if (incoming !== undefined && incoming.state !== ContactRequestState.PENDING) {
        await this.#carryAnswer(incoming, own, call);
      }
    }
  }

  async #carryRequest(request: ContactRequest, own: string, call: Call): Promise<number> {
    const { userId, text, atMs } = request;
    const { outcome } = await this.#parts.contacts.call(
      ContactData.deliverRequest,
      { userId, text, atMs },
      forward(call),
    );
    // Who is refused is not told so: it waits.
    const isAccepted = outcome === Outcome.ACCEPTED;
    const state = isAccepted ? ContactRequestState.ACCEPTED : ContactRequestState.PENDING;
    const changes: ContactChange[] = [
      { change: { case: "request", value: { ...request, state } } },
    ];
    if (isAccepted) changes.push(contactSince(userId, atMs));
    await this.#change(changes, call, false);
    if (outcome !== Outcome.REFUSED) this.#parts.notifier.hint([userId]);
    if (isAccepted) await this.#bothChanged(own, userId);
    return state;
  }

  async #carryAnswer(request: ContactRequest, own: string, call: Call): Promise<void> {
    const { userId, state, atMs } = request;
    const accept = state === ContactRequestState.ACCEPTED;
    const { outcome } = await this.#parts.contacts.call(
      ContactData.deliverAnswer,
      { userId, accept, atMs },
      forward(call),
    );
    await this.#change([{ change: { case: "request", value: request } }], call, false);
    if (outcome === Outcome.DELIVERED) this.#parts.notifier.hint([userId]);
    if (accept) await this.#bothChanged(own, userId);
  }

  async #bothChanged(one: string, other: string): Promise<void> {
    const { reachChanged } = this.#parts;
    await Promise.all([reachChanged(one, other), reachChanged(other, one)]);
  }

  async remove({ userId }: RemoveContactRequest, call: Call): Promise<ContactReply> {
    const own = this.#requireOther(userId, call);
    await this.#change([{ change: { case: "goneContact", value: userId } }], call);
    await this.#parts.reachChanged(own, userId);
    return {};
  }

  async set(request: SetContactRequest, call: Call): Promise<ContactReply> {
    const { userId, remark, tags } = request;
    this.#requireOther(userId, call);
    const { contact: before, tags: known } = await this.#own(userId, call);
    if (before === undefined) throw new RpcError("NOT_FOUND", "this user is no contact");
    if (remark !== undefined) requireCharacters(remark, "a remark", { max: REMARK_CHARACTERS_MAX });
    const tagIds = tags?.tagIds ?? before.tagIds;
    requireArgument(tagIds.length <= TAGS_MAX, `a contact has at most ${TAGS_MAX} tags`);
    const isKnown = tagIds.every((tagId) => known.some((tag) => tag.tagId === tagId));
    requireArgument(isKnown, "one of the tags does not exist");
    const after = { ...before, remark: remark ?? before.remark, tagIds: [...new Set(tagIds)] };
    await this.#change([{ change: { case: "contact", value: after } }], call);
    return {};
  }

  async setTag({ tag }: SetTagRequest, call: Call): Promise<ContactReply> {
    requireArgument(tag !== undefined, "there is no tag");
    requireClientId(tag.tagId, "a tag's id");
    requireCharacters(tag.name, "a tag's name", { min: 1, max: TAG_NAME_CHARACTERS_MAX });
    const { tags } = await this.#own("", call);
    const isNew = !tags.some((one) => one.tagId === tag.tagId);
    if (isNew && tags.length >= TAGS_PER_USER_MAX) {
      throw new RpcError("RESOURCE_EXHAUSTED", `${TAGS_PER_USER_MAX} tags are the limit`);
    }
    await this.#change([{ change: { case: "tag", value: tag } }], call);
    return {};
  }

  async deleteTag({ tagId }: DeleteTagRequest, call: Call): Promise<ContactReply> {
    requireClientId(tagId, "a tag's id");
    await this.#change([{ change: { case: "goneTag", value: tagId } }], call);
    return {};
  }

  async block({ userId, blocked }: BlockRequest, call: Call): Promise<ContactReply> {
    const own = this.#requireOther(userId, call);
    await this.#change(
      [{ change: { case: blocked ? "blocked" : "unblocked", value: userId } }],
      call,
    );
    await this.#parts.reachChanged(own, userId);
    return {};
  }

  async setPolicy({ policy }: SetPolicyRequest, call: Call): Promise<ContactReply> {
    requireArgument(policy !== undefined, "there is no policy");
    const { userId: own } = this.#parts.tickets.userOf(call);
    await this.#change([{ change: { case: "policy", value: policy } }], call);
    await this.#parts.reachChanged(own, undefined);
    return {};
  }

  #requireOther(userId: string, call: Call): string {
    const { userId: own } = this.#parts.tickets.userOf(call);
    requireId(userId, "a user id");
    requireArgument(userId !== own, "this is yourself");
    return own;
  }

  #own(userId: string, call: Call) {
    return this.#parts.contacts.call(ContactData.own, { userId }, forward(call));
  }

  async #change(changes: ContactChange[], call: Call, open = false): Promise<void> {
    const { userId } = this.#parts.tickets.userOf(call);
    await this.#parts.contacts.call(ContactData.change, { changes, open }, forward(call));
    this.#parts.notifier.hint([userId]);
  }
}

function contactSince(userId: string, sinceMs: number): ContactChange {
  return { change: { case: "contact", value: makeContactEntry({ userId, sinceMs }) } };
}
