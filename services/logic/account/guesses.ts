/**
 * How fast passwords may be guessed: of one name, so many wrong ones at once and then one in ten seconds, at each
 * campus. If that were all, whoever guesses would keep the owner out. So a device that shows a ticket which it got
 * with the present password, however old, is counted by itself: it is no stranger, and cannot make itself into many.
 * Addresses are not counted: those who guess have many, and many people share one.
 */
import type { AccountRecord } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { TokenBuckets } from "../../svrkit/admission/token-buckets.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { TicketVerifier, VerifiedTicket } from "../../svrkit/ticket/verify.ts";

const GUESSES_MAX = 20;
const GUESSES_PER_SECOND = 0.1;

type Tickets = Pick<TicketVerifier, "onceOf" | "verify">;

export interface Guess {
  readonly name: string;
  readonly password: string;
  /** A ticket that the device has or had; empty: none. */
  readonly ticket: Uint8Array;
}

export class Guesses {
  readonly #tickets: Tickets;
  readonly #left = new TokenBuckets({ perSecond: GUESSES_PER_SECOND, burst: GUESSES_MAX });

  constructor(tickets: Tickets) {
    this.#tickets = tickets;
  }

  /** `isRight` is asked when there may be one more guess, and its answer is that of this. */
  async count(
    guess: Guess,
    record: AccountRecord | undefined,
    isRight: () => Promise<boolean>,
  ): Promise<boolean> {
    const guesser = this.#guesserOf(guess, record);
    // Taken first: many guesses at once are as many as one after the other.
    if (!this.#left.take(guesser, monotonicMs())) {
      throw new RpcError("RESOURCE_EXHAUSTED", "too many wrong passwords: wait a minute");
    }
    let isWrong = false;
    try {
      isWrong = !(await isRight());
    } finally {
      if (!isWrong) this.#left.giveBack(guesser, monotonicMs());
    }
    return !isWrong;
  }

  #guesserOf({ name, ticket }: Guess, record: AccountRecord | undefined): string {
    // Looked at for names that do not exist, too: they take as long.
    const known = this.#tickets.onceOf(ticket);
    const isOwn = known !== undefined && known.userId === record?.userId;
    return isOwn && this.#isOfPresent(ticket, known, record)
      ? `device/${known.userId}/${known.device}`
      : `name/${name.toLowerCase()}`;
  }

  /** Whoever knew an earlier password may have tickets of as many devices as it liked. */
  #isOfPresent(ticket: Uint8Array, known: VerifiedTicket, record: AccountRecord): boolean {
    if (record.passwordSetAtMs > 0) return known.issuedAtMs >= record.passwordSetAtMs;
    // Of a password that the version before has set, only a change's end of all tickets tells.
    try {
      this.#tickets.verify(ticket);
      return true;
    } catch {
      return false;
    }
  }
}
