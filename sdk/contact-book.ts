/** What a device knows of its user's contacts, made from the rows it was sent. Pure. */
import type {
  ContactChange,
  ContactEntry,
  ContactPolicy,
  ContactRequest,
  ContactTag,
} from "../protos/gen/tricampus/client/v1/contact_codec.ts";

export class ContactBook {
  readonly #contacts = new Map<string, ContactEntry>();
  readonly #incoming = new Map<string, ContactRequest>();
  readonly #outgoing = new Map<string, ContactRequest>();
  readonly #blocked = new Set<string>();
  readonly #tags = new Map<string, ContactTag>();
  #policy: ContactPolicy | undefined;

  get isEmpty(): boolean {
    const lists = [this.#contacts, this.#incoming, this.#outgoing, this.#blocked, this.#tags];
    return this.#policy === undefined && lists.every(({ size }) => size === 0);
  }

  get contacts(): ReadonlyMap<string, ContactEntry> {
    return this.#contacts;
  }

  /** Who has asked to become a contact. */
  get incoming(): ReadonlyMap<string, ContactRequest> {
    return this.#incoming;
  }

  /** Whom the user has asked. */
  get outgoing(): ReadonlyMap<string, ContactRequest> {
    return this.#outgoing;
  }

  get blocked(): ReadonlySet<string> {
    return this.#blocked;
  }

  get tags(): ReadonlyMap<string, ContactTag> {
    return this.#tags;
  }

  /** Undefined: the user has set none. */
  get policy(): ContactPolicy | undefined {
    return this.#policy;
  }

  apply({ change }: ContactChange): void {
    switch (change?.case) {
      case "contact":
        this.#contacts.set(change.value.userId, change.value);
        return;
      case "goneContact":
        this.#contacts.delete(change.value);
        return;
      case "request":
        (change.value.incoming ? this.#incoming : this.#outgoing).set(
          change.value.userId,
          change.value,
        );
        return;
      case "blocked":
        this.#blocked.add(change.value);
        return;
      case "unblocked":
        this.#blocked.delete(change.value);
        return;
      case "tag":
        this.#tags.set(change.value.tagId, change.value);
        return;
      case "goneTag":
        this.#tags.delete(change.value);
        return;
      case "policy":
        this.#policy = change.value;
        return;
    }
  }
}
