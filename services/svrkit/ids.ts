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
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Raises the counter in `dir`/incarnation by one, durably, and returns it; the first is 1. */
export function raiseIncarnation(dir: string): number {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "incarnation");
  const next = readIncarnation(path) + 1;
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, `${next}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const folder = openSync(dir, "r");
  fsyncSync(folder);
  closeSync(folder);
  return next;
}

function readIncarnation(path: string): number {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
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
