/**
 * Register and log in.
 *
 * A registration has one commit point, the claim of the name (M6): the user id, the password's hash
 * and the name become durable together or not at all. A client that heard no answer registers again
 * and, with the right password, gets the same user; with another one the name is taken.
 *
 * A log-in must not tell whether the name or the password was wrong, neither by its words nor by its
 * time: a hash is computed for names that do not exist, too.
 */
import type {
  FindReply,
  FindRequest,
  LoginReply,
  LoginRequest,
  RegisterRequest,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  AccountData,
  type AccountRecord,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import type { TicketSigner } from "../../svrkit/ticket/sign.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import type { PasswordHasher } from "./password.ts";

const NAME_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const NAME_FORM_IN_WORDS = "1-64 characters: letters, digits, _ . -";
const PASSWORD_CHARACTERS_MIN = 8;
const PASSWORD_CHARACTERS_MAX = 256;

export interface AccountParts {
  /** account-data */
  readonly accounts: Callee;
  readonly passwords: PasswordHasher;
  readonly signer: TicketSigner;
  readonly tickets: TicketVerifier;
  readonly userIds: IdMaker;
  readonly ticketLifetimeMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class AccountHandlers {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  async register(request: RegisterRequest, call: Call): Promise<LoginReply> {
    checkRequest(request);
    const standing = (await this.#find(request.name, call)) ?? (await this.#claim(request, call));
    if (standing.fresh) return this.#ticketFor(standing.record, request.device);
    const { record } = standing;
    if (await this.#parts.passwords.matches(request.password, record.password, call.deadlineMs)) {
      return this.#ticketFor(record, request.device);
    }
    throw new RpcError(
      "ALREADY_EXISTS",
      `the name ${request.name} is taken: choose another, or log in`,
    );
  }

  async login(request: LoginRequest, call: Call): Promise<LoginReply> {
    checkRequest(request);
    const found = await this.#find(request.name, call);
    const { passwords } = this.#parts;
    const matches = await passwords.matches(
      request.password,
      found?.record.password,
      call.deadlineMs,
    );
    if (found === undefined || !matches) {
      throw new RpcError("UNAUTHENTICATED", "name or password is wrong");
    }
    return this.#ticketFor(found.record, request.device);
  }

  /** For users alone, so that a stranger cannot try names out. */
  async find({ name }: FindRequest, call: Call): Promise<FindReply> {
    this.#parts.tickets.userOf(call);
    requireArgument(NAME_FORM.test(name), `name: ${NAME_FORM_IN_WORDS}`);
    const found = await this.#find(name, call);
    if (found === undefined) throw new RpcError("NOT_FOUND", `nobody is registered as ${name}`);
    return { userId: found.record.userId, name: found.record.name };
  }

  async #find(
    name: string,
    call: Call,
  ): Promise<{ record: AccountRecord; fresh: boolean } | undefined> {
    try {
      const record = await this.#parts.accounts.call(
        AccountData.getByName,
        { name },
        forward(call),
      );
      return { record, fresh: false };
    } catch (error) {
      if (error instanceof RpcError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** The record that stands after the claim; fresh when it is the one made here. */
  async #claim(
    request: RegisterRequest,
    call: Call,
  ): Promise<{ record: AccountRecord; fresh: boolean }> {
    const { accounts, passwords, userIds, now } = this.#parts;
    const password = await passwords.hash(request.password, call.deadlineMs);
    const userId = userIds.next();
    const claimed = { name: request.name, userId, password, createdAtMs: now() };
    const record = await accounts.call(AccountData.claimName, { record: claimed }, forward(call));
    return { record, fresh: record.userId === userId };
  }

  #ticketFor(record: AccountRecord, device: string): LoginReply {
    const issuedAtMs = this.#parts.now();
    const expiresAtMs = issuedAtMs + this.#parts.ticketLifetimeMs;
    const { userId } = record;
    return {
      userId,
      ticket: this.#parts.signer.sign({ userId, device, issuedAtMs, expiresAtMs }),
      expiresAtMs,
    };
  }
}

function checkRequest(request: RegisterRequest): void {
  requireArgument(NAME_FORM.test(request.name), `name: ${NAME_FORM_IN_WORDS}`);
  requireArgument(NAME_FORM.test(request.device), `device: ${NAME_FORM_IN_WORDS}`);
  const { length } = request.password;
  requireArgument(
    length >= PASSWORD_CHARACTERS_MIN && length <= PASSWORD_CHARACTERS_MAX,
    `password: ${PASSWORD_CHARACTERS_MIN}-${PASSWORD_CHARACTERS_MAX} characters`,
  );
}
