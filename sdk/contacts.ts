/** The user's contacts: the device's own knowledge of them, and what may be asked. */
import {
  Contact,
  type ContactPolicy,
  ContactRequestState,
  type ContactTag,
  makeContactPolicy,
  makeSetContactRequest,
} from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import type { ContactBook } from "./contact-book.ts";
import { REQUEST_OPTIONS, type Requester } from "./requester.ts";
import type { DeviceStore } from "./store.ts";

export class Contacts {
  readonly #link: Requester;
  readonly #store: DeviceStore;

  constructor(link: Requester, store: DeviceStore) {
    this.#link = link;
    this.#store = store;
  }

  /** Contacts, requests, tags, blocks and policy, as of the last sync. */
  get known(): ContactBook {
    return this.#store.book.contacts;
  }

  /** Resolves to whether both are contacts now: the other one has asked, too. */
  async ask(userId: string, text = ""): Promise<boolean> {
    const { state } = await this.#link.request(Contact.ask, { userId, text }, REQUEST_OPTIONS);
    return state === ContactRequestState.ACCEPTED;
  }

  async accept(userId: string): Promise<void> {
    await this.#link.request(Contact.answer, { userId, accept: true }, REQUEST_OPTIONS);
  }

  async decline(userId: string): Promise<void> {
    await this.#link.request(Contact.answer, { userId, accept: false }, REQUEST_OPTIONS);
  }

  /** The other side keeps the user among its own. */
  async remove(userId: string): Promise<void> {
    await this.#link.request(Contact.remove, { userId }, REQUEST_OPTIONS);
  }

  async setRemark(userId: string, remark: string): Promise<void> {
    const request = makeSetContactRequest({ userId, remark });
    await this.#link.request(Contact.set, request, REQUEST_OPTIONS);
  }

  async setTags(userId: string, tagIds: readonly string[]): Promise<void> {
    const request = makeSetContactRequest({ userId, tags: { tagIds: [...tagIds] } });
    await this.#link.request(Contact.set, request, REQUEST_OPTIONS);
  }

  async setTag(tag: ContactTag): Promise<void> {
    await this.#link.request(Contact.setTag, { tag }, REQUEST_OPTIONS);
  }

  async deleteTag(tagId: string): Promise<void> {
    await this.#link.request(Contact.deleteTag, { tagId }, REQUEST_OPTIONS);
  }

  /** Nothing comes from who is blocked; it is not told. */
  async block(userId: string, blocked = true): Promise<void> {
    await this.#link.request(Contact.block, { userId, blocked }, REQUEST_OPTIONS);
  }

  async setPolicy(policy: Partial<ContactPolicy>): Promise<void> {
    const request = { policy: makeContactPolicy({ ...this.known.policy, ...policy }) };
    await this.#link.request(Contact.setPolicy, request, REQUEST_OPTIONS);
  }
}
