/**
 * Reading one's own writes: what this operator has written and the copies do not show yet. A plan made
 * from copies that lack the last plan's writes would do things twice, or undo the next step; so the
 * next round waits for them, a few milliseconds as a rule.
 */
import { isNewer } from "../kube/list-watch.ts";

/** What the copies have of an object. */
export interface Seen {
  readonly resourceVersion: string;
  readonly uid: string;
  readonly isLeaving?: boolean;
}

type Expected = { readonly atMs: number } & (
  | { readonly version: string; readonly wasThere: boolean }
  | { readonly gone: string }
);

/** What was not seen for so long never will be: the copies were listed anew, or it is none of ours now. */
const FORGET_MS = 15_000;

export class OwnWrites {
  readonly #expected = new Map<string, Expected>();

  /** `key`: "Kind/name". `wasThere`: it was not made by this write, so if it is not there now it is gone. */
  wrote(key: string, written: { version: string; wasThere: boolean }, nowMs: number): void {
    this.#expected.set(key, { ...written, atMs: nowMs });
  }

  deleted(key: string, uid: string, nowMs: number): void {
    this.#expected.set(key, { gone: uid, atMs: nowMs });
  }

  get isEmpty(): boolean {
    return this.#expected.size === 0;
  }

  /** The copies lack something; what they have is forgotten here. */
  areUnseen(look: (key: string) => Seen | undefined, nowMs: number): boolean {
    for (const [key, expected] of this.#expected) {
      if (nowMs - expected.atMs > FORGET_MS || isSeen(expected, look(key)))
        this.#expected.delete(key);
    }
    return this.#expected.size > 0;
  }
}

function isSeen(expected: Expected, seen: Seen | undefined): boolean {
  if ("gone" in expected) return seen?.uid !== expected.gone || seen.isLeaving === true;
  if (seen === undefined) return expected.wasThere;
  return !isNewer(expected.version, seen.resourceVersion);
}
