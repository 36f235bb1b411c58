/**
 * Who may reach whom, remembered: it is asked for every message, and changes seldom. When it changes,
 * all campuses are told before the one who changed it is answered; what is remembered otherwise is
 * believed for REMEMBERED_MS. A campus that cannot be told cannot reach the store either, and takes no
 * messages.
 */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  type ForgetReachRequest,
  type MayReply,
  type MayRequest,
  Reaching,
} from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { refusalOf, type Standing } from "./plan/verdict.ts";

const REMEMBERED_MAX = 100_000;
const REMEMBERED_MS = 30_000;
const TELL_TIMEOUT_MS = 300;

interface Remembered {
  readonly standing: Standing;
  readonly untilMs: number;
  /** Of its owner, when it was read. */
  readonly generation: number;
}

export interface ReachParts {
  readonly tickets: TicketVerifier;
  readonly contacts: Callee;
  readonly accounts: Callee;
  /** The service itself, in all campuses. */
  readonly peers: Callee;
  /** Milliseconds that only rise. */
  readonly now: () => number;
}

export class Reach {
  readonly #parts: ReachParts;
  readonly #known = new RecentlyUsed<string, Remembered>(REMEMBERED_MAX);
  /** By owner: how often everything about it was forgotten. */
  readonly #generations = new RecentlyUsed<string, number>(REMEMBERED_MAX);
  /** Rises whenever anything is forgotten: what is being read meanwhile is not kept. */
  #forgotten = 0;

  constructor(parts: ReachParts) {
    this.#parts = parts;
  }

  async may({ userId, what }: MayRequest, call: Call): Promise<MayReply> {
    const { userId: from } = this.#parts.tickets.userOf(call);
    const known = this.#known.get(nameOf(userId, from));
    const generation = this.#generations.get(userId) ?? 0;
    const isFresh =
      known !== undefined && known.generation === generation && known.untilMs > this.#parts.now();
    const standing = isFresh ? known.standing : await this.#read(userId, from, call);
    return { refusal: refusalOf(standing, what) };
  }

  forget({ userId, otherId }: ForgetReachRequest): void {
    this.#forgotten += 1;
    if (otherId !== "") this.#known.delete(nameOf(userId, otherId));
    else this.#generations.set(userId, (this.#generations.get(userId) ?? 0) + 1);
  }

  /** Resolves when every campus that answers has forgotten. */
  async tell(owner: string, other: string | undefined): Promise<void> {
    const request = { userId: owner, otherId: other ?? "" };
    const { peers } = this.#parts;
    const told = peers.peers.map((_, index) =>
      peers.callOne(index, Reaching.forget, request, { timeoutMs: TELL_TIMEOUT_MS }),
    );
    await Promise.allSettled(told);
  }

  async #read(userId: string, from: string, call: Call): Promise<Standing> {
    const { contacts, accounts, now } = this.#parts;
    const forgotten = this.#forgotten;
    const generation = this.#generations.get(userId) ?? 0;
    const [reach, facts] = await Promise.all([
      contacts.call(ContactData.reach, { userId }, forward(call)),
      accounts.call(AccountData.facts, { userId }, forward(call)),
    ]);
    const standing = { ...reach, gone: facts.deleted };
    if (forgotten === this.#forgotten) {
      const untilMs = now() + REMEMBERED_MS;
      this.#known.set(nameOf(userId, from), { standing, untilMs, generation });
    }
    return standing;
  }
}

function nameOf(owner: string, other: string): string {
  return `${owner} ${other}`;
}
