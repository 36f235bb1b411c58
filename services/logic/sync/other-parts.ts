/**
 * The parts of a snapshot besides the messages: the account and the contacts, as delta pages. They
 * change seldom, so a device asks for them when it was told to, and now and then.
 */
import type { AccountChange } from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import type { ContactChange } from "../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import type { SnapshotPayload } from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import { Reaching } from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const FINISH_TIMEOUT_MS = 5_000;

const finishes = monitorId("sync.contact_finishes");

export interface Parts {
  readonly account: AccountChange[];
  readonly contacts: ContactChange[];
  readonly more: boolean;
}

export const NO_PARTS: Parts = { account: [], contacts: [], more: false };

export interface OtherPartsParts {
  readonly accounts: Callee;
  readonly contacts: Callee;
  /** The service contact. */
  readonly reaching: Callee;
}

export class OtherParts {
  readonly #parts: OtherPartsParts;

  constructor(parts: OtherPartsParts) {
    this.#parts = parts;
  }

  /** What is newer than the snapshot, with the versions after it. */
  async changes(
    { userId, versions, limit }: { userId: string; versions: SnapshotPayload; limit: number },
    options: CallOptions,
  ): Promise<Parts & { versions: SnapshotPayload }> {
    const { accounts, contacts } = this.#parts;
    const { accountVersion, contactsVersion } = versions;
    const [account, contact] = await Promise.all([
      accounts.call(AccountData.changes, { userId, afterVersion: accountVersion }, options),
      contacts.call(ContactData.changes, { userId, afterVersion: contactsVersion, limit }, options),
    ]);
    requireArgument(
      accountVersion <= account.version && contactsVersion <= contact.version,
      "the snapshot is from the future: sync with an empty one",
    );
    if (contact.open.length > 0) this.#finish(contact.open, options);
    return {
      account: account.changes,
      contacts: contact.changes,
      more: contact.more,
      versions: {
        ...versions,
        accountVersion: account.version,
        contactsVersion: contact.throughVersion,
      },
    };
  }

  /** In the background: what does not succeed is found again by the next sync. */
  #finish(userIds: string[], options: CallOptions): void {
    monitor.add(finishes, 1);
    // The ticket is a view into a frame, which background work may outlive.
    const ticket = Buffer.from(options.ticket ?? []);
    const background = { ticket, timeoutMs: FINISH_TIMEOUT_MS };
    this.#parts.reaching.call(Reaching.finish, { userIds }, background).catch(() => {});
  }
}
