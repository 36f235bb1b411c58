/**
 * Which tickets are not good any more although they are signed and have not expired: those of devices
 * that were logged out. Told by whoever follows the table of them.
 */
export interface RevokedTickets {
  readonly userId: string;
  /** Empty: all devices of the user. */
  readonly device: string;
  /** Tickets issued before this are not good any more; milliseconds since 1970, as all times here. */
  readonly issuedBeforeMs: number;
  /** Later such tickets have expired anyway. */
  readonly untilMs: number;
  readonly reason: string;
}

interface Holder {
  readonly userId: string;
  readonly device: string;
  readonly issuedAtMs: number;
}

const PRUNE_EVERY = 10_000;

export class Revocations {
  readonly #byHolder = new Map<string, RevokedTickets>();
  readonly #listeners: ((userId: string) => void)[] = [];
  readonly #now: () => number;
  #added = 0;
  #isKnown = false;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Whether the table was read: before, nobody can say which tickets are good. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  becomeKnown(): void {
    this.#isKnown = true;
  }

  add(revoked: RevokedTickets): void {
    if (revoked.untilMs <= this.#now()) return;
    const name = nameOf(revoked);
    const before = this.#byHolder.get(name);
    if (before !== undefined && before.issuedBeforeMs >= revoked.issuedBeforeMs) return;
    this.#byHolder.set(name, revoked);
    this.#added += 1;
    if (this.#added % PRUNE_EVERY === 0) this.#prune();
    for (const listener of this.#listeners) listener(revoked.userId);
  }

  /** Why a ticket is not good any more; undefined when it is. */
  reasonAgainst(ticket: Holder): string | undefined {
    if (this.#byHolder.size === 0) return undefined;
    const own = this.#byHolder.get(nameOf(ticket));
    if (own !== undefined && ticket.issuedAtMs < own.issuedBeforeMs) return own.reason;
    const all = this.#byHolder.get(nameOf({ userId: ticket.userId, device: "" }));
    return all !== undefined && ticket.issuedAtMs < all.issuedBeforeMs ? all.reason : undefined;
  }

  /** Called with the user whenever some of its tickets end. */
  onRevoked(listener: (userId: string) => void): void {
    this.#listeners.push(listener);
  }

  #prune(): void {
    const nowMs = this.#now();
    for (const [name, { untilMs }] of this.#byHolder) {
      if (untilMs <= nowMs) this.#byHolder.delete(name);
    }
  }
}

/** Ids hold no slash. */
function nameOf({ userId, device }: Pick<Holder, "userId" | "device">): string {
  return `${userId}/${device}`;
}
