/**
 * Register and log in.
 *
 * A registration has one commit point, the claim of the name (M6): the user id, the password's hash
 * and the name become durable together or not at all. A client that heard no answer registers again
 * and, with the right password, gets the same user; with another one the name is taken.
 *
 * A log-in must not tell whether the name or the password was wrong, neither by its words nor by its
 * time: a hash is computed for names that do not exist, too. What it makes of the user's devices is
 * decided where they lie (services/data/account).
 */
import {
  type ChangePasswordRequest,
  type DeleteReply,
  type DeleteRequest,
  type FindReply,
  type FindRequest,
  type LoginReply,
  type LoginRequest,
  type LoginWithTokenRequest,
  makeUserDevice,
  makeUserProfile,
  Platform,
  type RegisterRequest,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  AccountData,
  type AccountRecord,
  type LogOutDevicesReply,
  makeAccountRecord,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { accepted, type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { ACCOUNT_DELETED, RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import type { TicketSigner } from "../../svrkit/ticket/sign.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { API_DEVICE } from "../api-device-client.ts";
import type { LogInFacts } from "./admin.ts";
import type { AccountConfig } from "./config.ts";
import { type Guess, Guesses } from "./guesses.ts";
import type { IdTokens } from "./id-tokens.ts";
import type { PasswordHasher } from "./password.ts";

const NAME_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const NAME_FORM_IN_WORDS = "1-64 characters: letters, digits, _ . -";
/** Before any ticket, whatever clocks say: none was got with an earlier password. */
const SINCE_REGISTERED_MS = 1;
const PASSWORD_CHARACTERS_MIN = 8;
const PASSWORD_CHARACTERS_MAX = 256;

export interface AccountParts {
  /** account-data */
  readonly accounts: Callee;
  readonly passwords: PasswordHasher;
  readonly idTokens: Pick<IdTokens, "verify">;
  readonly signer: Pick<TicketSigner, "sign">;
  readonly tickets: TicketVerifier;
  readonly userIds: IdMaker;
  readonly ticketLifetimeMs: number;
  readonly devicesMax: AccountConfig["devicesMax"];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Device {
  readonly device: string;
  readonly platform: Platform;
}

export class AccountHandlers {
  readonly #parts: AccountParts;
  readonly #guesses: Guesses;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    this.#guesses = new Guesses(parts.tickets);
  }

  async register(request: RegisterRequest, call: Call): Promise<LoginReply> {
    checkRequest(request);
    const standing = (await this.#find(request.name, call)) ?? (await this.#claim(request, call));
    if (standing.fresh) return this.#logIn(standing.record, request, accepted(call));
    const { record } = standing;
    if (await this.#matches({ ...request, ticket: NO_BYTES }, record, call)) {
      return this.#logIn(record, request, call);
    }
    throw new RpcError(
      "ALREADY_EXISTS",
      `the name ${request.name} is taken: choose another, or log in`,
    );
  }

  async login(request: LoginRequest, call: Call): Promise<LoginReply> {
    checkRequest(request);
    const found = await this.#find(request.name, call);
    const guess = { ...request, ticket: request.knownTicket };
    const matches = await this.#matches(guess, found?.record, call);
    if (found === undefined || !matches) {
      throw new RpcError("UNAUTHENTICATED", "name or password is wrong");
    }
    return this.#logIn(found.record, request, call);
  }

  async loginWithToken(request: LoginWithTokenRequest, call: Call): Promise<LoginReply> {
    checkDevice(request);
    const { issuer, subject, displayName } = await this.#parts.idTokens.verify(request.idToken);
    const { accounts, userIds, now } = this.#parts;
    const asked = { issuer, subject };
    const known = await accounts
      .call(AccountData.getBySubject, asked, forward(call))
      .catch(undefinedIfNotFound);
    if (known !== undefined) return this.#logIn(known, request, call);
    const fresh = makeAccountRecord({ ...asked, userId: userIds.next(), createdAtMs: now() });
    const record = await accounts.call(AccountData.claimName, { record: fresh }, forward(call));
    return this.#logIn(record, request, accepted(call), displayName);
  }

  async renew(call: Call): Promise<LoginReply> {
    const { userId, device, issuedAtMs } = this.#parts.tickets.userOf(call);
    const platform = Platform.UNSPECIFIED;
    return this.ticketFor({ userId, device, platform }, { renewedIssuedAtMs: issuedAtMs }, call);
  }

  /** For users alone, so that a stranger cannot try names out. */
  async find({ name }: FindRequest, call: Call): Promise<FindReply> {
    this.#parts.tickets.userOf(call);
    requireArgument(NAME_FORM.test(name), `name: ${NAME_FORM_IN_WORDS}`);
    const found = await this.#find(name, call);
    const userId = found?.record.userId ?? "";
    const facts =
      userId === ""
        ? undefined
        : await this.#parts.accounts.call(AccountData.facts, { userId }, forward(call));
    if (found === undefined || found.record.deleted || facts?.settings?.hidesName === true) {
      throw new RpcError("NOT_FOUND", `nobody is registered as ${name}`);
    }
    return { userId, name: found.record.name };
  }

  async changePassword(request: ChangePasswordRequest, call: Call): Promise<LoginReply> {
    const { accounts, passwords, tickets, ticketLifetimeMs, now } = this.#parts;
    const { userId, device } = tickets.userOf(call);
    checkPassword(request.newPassword);
    const record = await this.#ownRecord(call);
    if (record.name === "") {
      throw new RpcError("FAILED_PRECONDITION", "you log in elsewhere: change your password there");
    }
    const facts = { devices: [], ticketLifetimeMs, reason: "the password was changed" };
    const guess = { name: record.name, password: request.oldPassword, ticket: call.ticket };
    const noted = { ...facts, onlyNoted: true };
    let standing = record;
    if (await this.#matches(guess, record, call)) {
      const password = await passwords.hash(request.newPassword, call.deadlineMs);
      // Noted first: where the rest is not reached, nobody stays for whom the password was changed. It stays
      // noted when replacing fails: that may have been done all the same, and trying again goes on from there.
      const ended = await accounts.call(AccountData.logOut, noted, forward(call));
      standing = { ...record, password, passwordSetAtMs: endedBefore(ended, now()) };
      await this.#replace(standing, record.password, call);
    } else {
      // Who did not hear that it was replaced tries again: the new password stands, the rest may lack.
      await this.#requirePassword(request.newPassword, record, call);
    }
    // Until it was replaced the earlier password still got tickets: they were issued later than what was noted.
    const ended = await accounts.call(AccountData.logOut, noted, forward(accepted(call)));
    const passwordSetAtMs = endedBefore(ended, standing.passwordSetAtMs);
    await this.#replace({ ...standing, passwordSetAtMs }, standing.password, call);
    // Told to everybody last: from then on the caller's own ticket is as good as none.
    const all = { ...facts, onlyNoted: false };
    await accounts.call(AccountData.logOut, all, forward(accepted(call)));
    return this.ticketFor({ userId, device, platform: Platform.UNSPECIFIED }, {}, accepted(call));
  }

  async #replace(record: AccountRecord, oldPassword: Uint8Array, call: Call): Promise<void> {
    const replacement = { record, oldPassword };
    await this.#parts.accounts.call(AccountData.replace, replacement, forward(accepted(call)));
  }

  /**
   * The commit point is that the user is to be erased; whoever finds that does all that follows. Who did not
   * hear that it was done tries again: of the deleted account no password is left to ask for.
   */
  async delete({ password }: DeleteRequest, call: Call): Promise<DeleteReply> {
    const record = await this.#ownRecord(call);
    if (record.name !== "" && !record.deleted) await this.#requirePassword(password, record, call);
    const { accounts, ticketLifetimeMs, now } = this.#parts;
    const gone = { ...record, deleted: true, password: NO_BYTES };
    const user = { record: gone, sinceMs: now() };
    await accounts.call(AccountData.beginErasing, { user }, forward(call));
    await this.#replace(gone, record.password, call);
    const facts = { devices: [], ticketLifetimeMs, reason: ACCOUNT_DELETED, onlyNoted: false };
    await accounts.call(AccountData.logOut, facts, forward(accepted(call)));
    return {};
  }

  /** With the password, which the caller must not be told. */
  async #ownRecord(call: Call): Promise<AccountRecord> {
    const { accounts } = this.#parts;
    const identity = await accounts.call(AccountData.identity, {}, forward(call));
    const { name, issuer, subject } = identity;
    return name === ""
      ? accounts.call(AccountData.getBySubject, { issuer, subject }, forward(call))
      : accounts.call(AccountData.getByName, { name }, forward(call));
  }

  async #requirePassword(password: string, record: AccountRecord, call: Call): Promise<void> {
    const guess = { name: record.name, password, ticket: call.ticket };
    if (await this.#matches(guess, record, call)) return;
    throw new RpcError("PERMISSION_DENIED", "the password is wrong");
  }

  /** Takes as long, and says no, when there is no such account, or not any more. */
  #matches(guess: Guess, record: AccountRecord | undefined, call: Call): Promise<boolean> {
    const stored = record === undefined || record.deleted ? undefined : record.password;
    const { passwords } = this.#parts;
    return this.#guesses.count(guess, record, () =>
      passwords.matches(guess.password, stored, call.deadlineMs),
    );
  }

  async #find(
    name: string,
    call: Call,
  ): Promise<{ record: AccountRecord; fresh: boolean } | undefined> {
    const { accounts } = this.#parts;
    const record = await accounts
      .call(AccountData.getByName, { name }, forward(call))
      .catch(undefinedIfNotFound);
    return record && { record, fresh: false };
  }

  /** The record that stands after the claim; fresh when it is the one made here. */
  async #claim(
    request: RegisterRequest,
    call: Call,
  ): Promise<{ record: AccountRecord; fresh: boolean }> {
    const { accounts, passwords, userIds, now } = this.#parts;
    const password = await passwords.hash(request.password, call.deadlineMs);
    const userId = userIds.next();
    const createdAtMs = now();
    const passwordSetAtMs = SINCE_REGISTERED_MS;
    const facts = { name: request.name, userId, password, createdAtMs, passwordSetAtMs };
    const claimed = makeAccountRecord(facts);
    const record = await accounts.call(AccountData.claimName, { record: claimed }, forward(call));
    return { record, fresh: record.userId === userId };
  }

  #logIn(
    record: AccountRecord,
    { device, platform }: Device,
    call: Call,
    displayName = "",
  ): Promise<LoginReply> {
    if (record.deleted) throw new RpcError("UNAUTHENTICATED", ACCOUNT_DELETED);
    const { userId, name } = record;
    const profile = makeUserProfile({ userId, name, displayName: displayName || name });
    const facts = { profile, identity: record };
    return this.ticketFor({ userId, device, platform }, facts, call);
  }

  /** Who asks has proved who it is. */
  async ticketFor(
    { userId, device, platform }: Device & { userId: string },
    facts: LogInFacts,
    call: Call,
  ): Promise<LoginReply> {
    const { accounts, signer, ticketLifetimeMs } = this.#parts;
    const { issuedAtMs } = await accounts.call(
      AccountData.logIn,
      {
        ...{ userId, device: makeUserDevice({ device, platform }), ticketLifetimeMs },
        ...{ profile: facts.profile, identity: facts.identity },
        devicesMax: this.#devicesMax(platform),
        mustExist: facts.mustExist ?? false,
        renewedIssuedAtMs: facts.renewedIssuedAtMs ?? 0,
      },
      forward(call),
    );
    const expiresAtMs = issuedAtMs + ticketLifetimeMs;
    return {
      userId,
      ticket: signer.sign({ userId, device, issuedAtMs, expiresAtMs }),
      expiresAtMs,
    };
  }

  #devicesMax(platform: Platform): number {
    const { devicesMax } = this.#parts;
    switch (platform) {
      case Platform.PHONE:
        return devicesMax.phone;
      case Platform.TABLET:
        return devicesMax.tablet;
      case Platform.DESKTOP:
        return devicesMax.desktop;
      case Platform.WEB:
        return devicesMax.web;
      default:
        return devicesMax.other;
    }
  }
}

function undefinedIfNotFound(error: unknown): undefined {
  if (error instanceof RpcError && error.code === "NOT_FOUND") return undefined;
  throw error;
}

function checkRequest(request: RegisterRequest): void {
  requireArgument(NAME_FORM.test(request.name), `name: ${NAME_FORM_IN_WORDS}`);
  checkDevice(request);
  checkPassword(request.password);
}

function checkDevice({ device, platform }: Device): void {
  requireArgument(NAME_FORM.test(device), `device: ${NAME_FORM_IN_WORDS}`);
  requireArgument(device !== API_DEVICE, `device: "${API_DEVICE}" is what API keys act as`);
  requireArgument(platform <= Platform.OTHER, "there is no such platform");
}

function checkPassword({ length }: string): void {
  requireArgument(
    length >= PASSWORD_CHARACTERS_MIN && length <= PASSWORD_CHARACTERS_MAX,
    `password: ${PASSWORD_CHARACTERS_MIN}-${PASSWORD_CHARACTERS_MAX} characters`,
  );
}

/** `otherwise`: of the version before, which tells nothing. */
function endedBefore({ endedBeforeMs }: LogOutDevicesReply, otherwise: number): number {
  return endedBeforeMs === 0 ? otherwise : endedBeforeMs;
}
