/**
 * Which of the log's segments must be there: a small file beside them names the first that is needed, for
 * all before it are in the state engine, and the last that was begun. Between the two none may be missing:
 * its votes would be forgotten (S3).
 *
 * That the numbers follow each other says less: a loss of power brings removed segments back, some of
 * them. When there is a segment behind the last one named, a version that does not know this file has run
 * since, and has removed others: then the file says nothing.
 */
import { join } from "node:path";
import { z } from "zod";
import type { TextFiles } from "../../svrkit/text-files.ts";
import { isBroken } from "./files.ts";

export const SEGMENTS_FILE = "log-segments.json";

const noteSchema = z.strictObject({ first: z.int().min(1), last: z.int().min(1) });

export class Segments {
  readonly #path: string;
  readonly #files: TextFiles;
  /** Those of which something must be read at a start, in order. */
  readonly needed: readonly number[];
  /** One that must be there and is not. */
  readonly missing: number | undefined;
  #first: number;
  #last: number;

  /** `found`: the numbers of those that are there, in order. */
  constructor(dir: string, files: TextFiles, found: readonly number[]) {
    this.#path = join(dir, SEGMENTS_FILE);
    this.#files = files;
    const text = files.read(this.#path);
    const note = text === undefined ? undefined : noteSchema.parse(JSON.parse(text));
    const last = found.at(-1) ?? 0;
    const isInForce = note !== undefined && last <= note.last;
    this.needed = isInForce ? found.filter((segment) => segment >= note.first) : found;
    this.#first = isInForce ? note.first : firstInRow(found);
    this.#last = Math.max(1, last);
    this.missing = isInForce ? firstMissing(this.needed, note.first) : undefined;
  }

  /** The next segment is there. Durable when it resolves. */
  async begin(segment: number): Promise<void> {
    const before = this.#last;
    this.#last = segment;
    try {
      await this.#save();
    } catch (error) {
      this.#last = before;
      throw error;
    }
  }

  /** Those before this one are about to be removed: from now on none of them is missed. */
  async need(segment: number): Promise<void> {
    this.#first = segment;
    try {
      await this.#save();
    } catch (error) {
      if (isBroken(error)) throw error;
      // A full disk: to remove needs no room, and makes some.
      this.#files.remove(this.#path);
    }
  }

  #save(): Promise<void> {
    return this.#files.replaceSoon(
      this.#path,
      JSON.stringify({ first: this.#first, last: this.#last }),
    );
  }
}

/** The first of those that end the list without a gap. */
function firstInRow(found: readonly number[]): number {
  let at = found.length - 1;
  while (at > 0 && found[at - 1] === found[at]! - 1) at -= 1;
  return found[at] ?? 1;
}

function firstMissing(needed: readonly number[], first: number): number | undefined {
  const at = needed.findIndex((segment, i) => segment !== first + i);
  if (at >= 0) return first + at;
  return needed.length === 0 ? first : undefined;
}
