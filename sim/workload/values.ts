/**
 * Values as histories name them. A small value is its own name; a large one, "name*bytes", is that name
 * and then filling that only this name and length have, so that a history stays short and a value that
 * came back cut, mixed or altered is told from what was written.
 */
import { Random } from "../../services/svrkit/seeded-random.ts";

const MARK = "*";
const RUN_BYTES = 64;
const FIRST_LETTER = 0x61;
const LETTERS = 26;

/** The name of a value of so many bytes beside its name. */
export function largeValue(name: string, bytes: number): string {
  return `${name}${MARK}${bytes}`;
}

export function valueBytes(value: string): Buffer {
  const at = value.indexOf(MARK);
  return at < 0 ? Buffer.from(value) : Buffer.concat([Buffer.from(value), fillingOf(value, at)]);
}

/** Names a value that was read; one that nobody can have written so gets a name that nobody has. */
export function valueText(bytes: Uint8Array): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = all.toString("latin1");
  const [name] = /^[^*]*\*\d{1,9}(?=\n)/.exec(text) ?? [];
  if (name === undefined) return text.length > 100 ? `${text.slice(0, 100)}...` : text;
  return valueBytes(name).equals(all) ? name : `${name}, damaged: ${bytes.length} bytes`;
}

/** Runs of letters: what is moved, cut or mixed does not fit any more. */
function fillingOf(value: string, at: number): Buffer {
  const filling = Buffer.alloc(1 + Number(value.slice(at + 1)), "\n");
  const random = new Random(0, value);
  for (let from = 1; from < filling.length; from += RUN_BYTES)
    filling.fill(
      FIRST_LETTER + random.index(LETTERS),
      from,
      Math.min(filling.length, from + RUN_BYTES),
    );
  return filling;
}
