/** What users show of themselves, and what is their own business. */
import type {
  LogOutEverywhereRequest,
  LogOutReply,
  LogOutRequest,
  ProfilesReply,
  ProfilesRequest,
  SetProfileReply,
  SetProfileRequest,
  SetSettingsReply,
  SetSettingsRequest,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCharacters, requireId, requireMediaIdOrNone } from "../arguments.ts";
import type { Notifier } from "../notify/notifier.ts";

const PROFILES_MAX = 100;
const DISPLAY_NAME_CHARACTERS_MAX = 64;
const ABOUT_CHARACTERS_MAX = 200;

export interface ProfileParts {
  readonly accounts: Callee;
  readonly tickets: TicketVerifier;
  readonly notifier: Pick<Notifier, "hint">;
  readonly ticketLifetimeMs: number;
}

export class ProfileHandlers {
  readonly #parts: ProfileParts;

  constructor(parts: ProfileParts) {
    this.#parts = parts;
  }

  async profiles({ userIds }: ProfilesRequest, call: Call): Promise<ProfilesReply> {
    this.#parts.tickets.userOf(call);
    requireArgument(
      userIds.length >= 1 && userIds.length <= PROFILES_MAX,
      `1 to ${PROFILES_MAX} profiles can be asked for at once`,
    );
    for (const userId of userIds) requireId(userId, "a user id");
    return this.#parts.accounts.call(AccountData.profiles, { userIds }, forward(call));
  }

  async setProfile(profile: SetProfileRequest, call: Call): Promise<SetProfileReply> {
    const { displayName, avatarId, about } = profile;
    if (displayName !== undefined) {
      requireCharacters(displayName, "a name", { min: 1, max: DISPLAY_NAME_CHARACTERS_MAX });
    }
    if (about !== undefined) {
      requireCharacters(about, "what users say about themselves", { max: ABOUT_CHARACTERS_MAX });
    }
    if (avatarId !== undefined) requireMediaIdOrNone(avatarId, "the avatar's media id");
    await this.#set({ profile, settings: undefined }, call);
    return {};
  }

  async setSettings({ settings }: SetSettingsRequest, call: Call): Promise<SetSettingsReply> {
    requireArgument(settings !== undefined, "there are no settings to set");
    await this.#set({ profile: undefined, settings }, call);
    return {};
  }

  async #set(
    facts: { profile: SetProfileRequest | undefined; settings: SetSettingsRequest["settings"] },
    call: Call,
  ): Promise<void> {
    const { userId } = this.#parts.tickets.userOf(call);
    await this.#parts.accounts.call(AccountData.set, facts, forward(call));
    this.#parts.notifier.hint([userId]);
  }

  async logOut({ device }: LogOutRequest, call: Call): Promise<LogOutReply> {
    const own = this.#parts.tickets.userOf(call).device;
    const devices = [device || own];
    return this.#logOut(devices, `it was logged out by ${own}`, call);
  }

  async logOutEverywhere(_: LogOutEverywhereRequest, call: Call): Promise<LogOutReply> {
    const own = this.#parts.tickets.userOf(call).device;
    return this.#logOut([], `${own} has logged all devices out`, call);
  }

  async #logOut(devices: string[], reason: string, call: Call): Promise<LogOutReply> {
    const { accounts, tickets, notifier, ticketLifetimeMs } = this.#parts;
    const { userId } = tickets.userOf(call);
    const request = { devices, ticketLifetimeMs, reason, onlyNoted: false };
    await accounts.call(AccountData.logOut, request, forward(call));
    notifier.hint([userId]);
    return {};
  }
}
