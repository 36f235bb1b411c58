/**
 * Password hashes: argon2id, stored in the usual text form
 *
 *   $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>      (base64 without padding)
 *
 * A hash takes about 50 ms of a core and 19 MiB, which makes it the cheapest way to hurt this
 * service. So at most HASHES_AT_ONCE run, a bounded number waits, the rest is refused at once, and
 * who waited past its deadline is not hashed for.
 */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { monotonicMs } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const HASHES_AT_ONCE = 2;
/** Twice what can be worked off before a client gives up (5 s, 50 ms a hash, two at once). */
const HASHES_WAITING_MAX = 400;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

export interface HashCost {
  readonly memoryKib: number;
  readonly passes: number;
}

interface ParsedHash extends HashCost {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const refused = monitorId("account.hashes_refused");

export class PasswordHasher {
  readonly #cost: HashCost;
  readonly #dummy: ParsedHash;
  readonly #waiting: { deadlineMs: number; run: () => void; refuse: (error: RpcError) => void }[] =
    [];
  #running = 0;

  constructor(cost: HashCost) {
    this.#cost = cost;
    this.#dummy = { ...cost, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) };
  }

  /** The text to store for a new password. `deadlineMs`: monotonic. */
  async hash(password: string, deadlineMs: number): Promise<Buffer> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await this.#derive(password, { ...this.#cost, salt }, deadlineMs);
    const { memoryKib, passes } = this.#cost;
    return Buffer.from(
      `$argon2id$v=19$m=${memoryKib},t=${passes},p=1$${base64(salt)}$${base64(hash)}`,
    );
  }

  /** Whether the password is the stored one; takes as long, and says no, when nothing is stored. */
  async matches(
    password: string,
    stored: Uint8Array | undefined,
    deadlineMs: number,
  ): Promise<boolean> {
    const expected = stored === undefined ? this.#dummy : parse(stored);
    const actual = await this.#derive(password, expected, deadlineMs);
    return timingSafeEqual(actual, expected.hash) && stored !== undefined;
  }

  async #derive(
    password: string,
    facts: HashCost & { salt: Buffer },
    deadlineMs: number,
  ): Promise<Buffer> {
    await this.#turn(deadlineMs);
    try {
      return await argon2id(password, facts);
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  /** Resolves when this caller may hash; it then counts as running. */
  #turn(deadlineMs: number): Promise<void> {
    if (this.#running < HASHES_AT_ONCE) {
      this.#running += 1;
      return Promise.resolve();
    }
    if (this.#waiting.length >= HASHES_WAITING_MAX) {
      monitor.add(refused, 1);
      const message = `${HASHES_WAITING_MAX} others wait to log in; try again in a few seconds`;
      return Promise.reject(new RpcError("OVERLOADED", message));
    }
    return new Promise((run, refuse) => this.#waiting.push({ deadlineMs, run, refuse }));
  }

  #next(): void {
    for (let first = this.#waiting.shift(); first !== undefined; first = this.#waiting.shift()) {
      if (first.deadlineMs > monotonicMs()) {
        this.#running += 1;
        first.run();
        return;
      }
      monitor.add(refused, 1);
      first.refuse(
        new RpcError("OVERLOADED", "too many log in at once; try again in a few seconds"),
      );
    }
  }
}

function argon2id(password: string, facts: HashCost & { salt: Buffer }): Promise<Buffer> {
  const parameters = {
    message: password,
    nonce: facts.salt,
    memory: facts.memoryKib,
    passes: facts.passes,
    parallelism: 1,
    tagLength: HASH_BYTES,
  };
  return new Promise((resolve, reject) => {
    argon2("argon2id", parameters, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    );
  });
}

function parse(stored: Uint8Array): ParsedHash {
  const form = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([\w+/]+)\$([\w+/]+)$/;
  const [, memory, passes, salt, hash] = form.exec(Buffer.from(stored).toString("latin1")) ?? [];
  if (hash === undefined)
    throw new RpcError("INTERNAL", "a stored password hash is not in a form known here");
  return {
    memoryKib: Number(memory),
    passes: Number(passes),
    salt: Buffer.from(salt!, "base64"),
    hash: Buffer.from(hash, "base64"),
  };
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replaceAll("=", "");
}
