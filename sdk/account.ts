/** The user's account: what it shows of itself, its devices, its end. */
import {
  Account,
  type AccountSettings,
  makeAccountSettings,
  makeSetProfileRequest,
  type UserProfile,
} from "../protos/gen/tricampus/client/v1/account_codec.ts";
import { ACCOUNT_DELETED, RpcError } from "../services/svrkit/errors.ts";
import type { AccountBook } from "./account-book.ts";
import { PASSWORD_OPTIONS, REQUEST_OPTIONS, type Requester } from "./requester.ts";
import type { DeviceStore } from "./store.ts";

export interface ProfileFields {
  readonly displayName?: string;
  readonly avatarId?: string;
  readonly about?: string;
}

export class OwnAccount {
  readonly #link: Requester;
  readonly #store: DeviceStore;

  constructor(link: Requester, store: DeviceStore) {
    this.#link = link;
    this.#store = store;
  }

  /** Profile, settings and devices, as of the last sync. */
  get known(): AccountBook {
    return this.#store.book.account;
  }

  /** What up to 100 users show of themselves. */
  async profiles(userIds: readonly string[]): Promise<UserProfile[]> {
    const request = { userIds: [...userIds] };
    return (await this.#link.request(Account.profiles, request, REQUEST_OPTIONS)).profiles;
  }

  /** Changes what is given. */
  async setProfile(fields: ProfileFields): Promise<void> {
    await this.#link.request(Account.setProfile, makeSetProfileRequest(fields), REQUEST_OPTIONS);
  }

  async setSettings(settings: Partial<AccountSettings>): Promise<void> {
    const request = { settings: makeAccountSettings({ ...this.known.settings, ...settings }) };
    await this.#link.request(Account.setSettings, request, REQUEST_OPTIONS);
  }

  /** Ends the log-in of a device; without a name of this one. */
  async logOut(device = ""): Promise<void> {
    await this.#link.request(Account.logOut, { device }, REQUEST_OPTIONS);
  }

  async logOutEverywhere(): Promise<void> {
    await this.#link.request(Account.logOutEverywhere, {}, REQUEST_OPTIONS);
  }

  /**
   * Deletes the account and everything that is the user's. Who logs in elsewhere has no password. When the
   * answer is lost, that the account is gone is the answer.
   */
  async delete(password = ""): Promise<void> {
    try {
      await this.#link.request(Account.delete, { password }, PASSWORD_OPTIONS);
    } catch (error) {
      const { code, message } = RpcError.from(error);
      if (code !== "UNAUTHENTICATED" || !message.includes(ACCOUNT_DELETED)) throw error;
    }
  }
}
