/**
 * Ids without a central call (M6): data centre, place, durable incarnation, counter.
 *
 *   "07" + "a" + "t" + "1k" + "-" + "3f"
 *    |     |     |     |            counter, base 36
 *    |     |     |     incarnation of that place, base 36: raised durably at every start
 *    |     |     one letter for the kind of place, see the callers
 *    |     campus
 *    data centre, two hex digits: the home of what is named
 */
import { join } from "node:path";
import { systemTextFiles, type TextFiles } from "./text-files.ts";

export const INCARNATION_FILE = "incarnation";

/**
 * Raises the counter in `dir`/incarnation by one, durably, and returns it; the first is the one above
 * `floor`.
 */
export function raiseIncarnation(
  dir: string,
  files: TextFiles = systemTextFiles,
  floor = 0,
): number {
  const path = join(dir, INCARNATION_FILE);
  const next = Math.max(floor, readIncarnation(path, files)) + 1;
  files.replace(path, `${next}\n`);
  return next;
}

/** Makes the next incarnation in `dir` one above this one, durably. */
export function beginIncarnationsAbove(dir: string, incarnation: number, files: TextFiles): void {
  if (incarnation > 0) files.replace(join(dir, INCARNATION_FILE), `${incarnation}\n`);
}

function readIncarnation(path: string, files: TextFiles): number {
  const text = files.read(path);
  if (text === undefined) return 0;
  const value = Number(text.trim());
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new Error(
      `${path} is damaged (it says "${text.trim()}"): ids made here could repeat; restore it`,
    );
  }
  return value;
}

export class IdMaker {
  readonly #prefix: string;
  #counter = 0;

  constructor(place: { dc: number; campus: string; letter: string; incarnation: number }) {
    const dc = place.dc.toString(16).padStart(2, "0");
    this.#prefix = `${dc}${place.campus}${place.letter}${place.incarnation.toString(36)}-`;
  }

  next(): string {
    this.#counter += 1;
    return this.#prefix + this.#counter.toString(36);
  }
}
