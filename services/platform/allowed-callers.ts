/**
 * Who may call what, while a process runs: the usual table (usual-callers.ts) but what the limits file takes
 * away. svrkit checks it before a request is decoded, against the identity that the caller's certificate
 * proves; on plain connections, which are for one machine, callers are believed. Whose data a call may touch
 * is a second question, answered where the data is (services/data/authority.ts).
 */
import { inForce } from "../svrkit/config/limits-in-force.ts";
import type { Callers } from "../svrkit/server.ts";
import { remainingCallers, shortName, usualCallers } from "./usual-callers.ts";

/** Those of one method, as the table and the limits say at each call. */
class MethodCallers implements Callers {
  readonly #name: string;
  #told: typeof inForce.callers | undefined;
  #now: ReadonlySet<string> = new Set();

  constructor(name: string) {
    this.#name = name;
  }

  has(caller: string): boolean {
    const { callers: told } = inForce;
    if (told !== this.#told) {
      this.#told = told;
      this.#now = new Set(remainingCallers(this.#name, told));
    }
    return this.#now.has(caller);
  }
}

/** `method`: "tricampus.kv.v1.Kv/Get"; undefined when nothing is said of it. */
export function allowedCallers(method: string): Callers | undefined {
  const name = shortName(method);
  return usualCallers(name) === undefined ? undefined : new MethodCallers(name);
}
