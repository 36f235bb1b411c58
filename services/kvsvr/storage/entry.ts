/**
 * A key as an object, while something happens to it. Those that nobody works on are packed away
 * (shelf.ts), and their objects end: who needs this very object for longer than a turn pins it.
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Queue } from "../proposals.ts";
import type { Register } from "../protocol/register.ts";
import { KEY_AT, latin1 } from "./record.ts";
import type { TableRows } from "./table-rows.ts";

export class Entry {
  /** Its number on the shelf; -1: it is looked at and not kept. */
  readonly id: number;
  readonly registerKey: Buffer;
  readonly key: Key;
  register: Register;
  /** The register that the key's block holds. */
  packed: Register | undefined = undefined;
  /** Rows newer than the engine's; undefined: there are none. */
  rows: TableRows | undefined = undefined;
  /** Log sequence of the newest record about this key. */
  logged = 0;
  /**
   * A notice that moved the register on without a record, as version (0: none) and digest: what follows
   * it is logged behind it.
   */
  unloggedVersion = 0;
  unloggedDigest = 0;
  /** Rows that the table has forgotten may still lie in the engine. */
  unswept = false;
  /** Users that need this very object to stay: proposals, reads, sweeps. */
  pins = 0;
  /** Writes that wait for this key, while there are any: proposals.ts's own. */
  queue: Queue | undefined = undefined;
  /** The object's time is over: the key is packed, or another object. */
  isOver = false;

  constructor(id: number, registerKey: Buffer, register: Register) {
    this.id = id;
    this.registerKey = registerKey;
    this.key = { keyspace: registerKey[0]!, key: registerKey.subarray(KEY_AT) };
    this.register = register;
  }

  /** The key as a map's key. */
  get name(): string {
    return latin1(this.registerKey);
  }
}
