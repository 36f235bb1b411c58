/**
 * Keys, rows and values on the command line: UTF-8, or hex with --hex. What is printed for people can
 * be told apart byte by byte: what is not printable is quoted as \xNN, and nothing reaches the
 * terminal as a command.
 */
import { isUtf8 } from "node:buffer";
import { EXIT, Failure } from "../failure.ts";

export type Notation = "text" | "hex";

/** `what`: names the argument in the error. */
export function parseBytes(text: string, notation: Notation, what: string): Buffer {
  if (notation === "text") return Buffer.from(text);
  if (/^(?:[0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, "hex");
  throw new Failure(EXIT.usage, `${what}: "${text}" is not hex: give pairs of 0-9 and a-f`);
}

export function showBytes(bytes: Uint8Array, notation: Notation): string {
  const buffer = Buffer.from(bytes);
  if (notation === "hex") return buffer.toString("hex");
  if (!isUtf8(buffer)) return [...buffer].map(showByte).join("");
  return [...buffer.toString()].map(showCharacter).join("");
}

/** `{ name: text }`, or `{ nameHex: hex }` when the bytes are no UTF-8 or hex was asked for. */
export function bytesJson(
  name: string,
  bytes: Uint8Array,
  notation: Notation,
): Record<string, string> {
  const buffer = Buffer.from(bytes);
  if (notation === "text" && isUtf8(buffer)) return { [name]: buffer.toString() };
  return { [`${name}Hex`]: buffer.toString("hex") };
}

/** Controls, unassigned and private characters, line and paragraph separators, invisible marks. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

function showCharacter(character: string): string {
  if (character === "\\") return "\\\\";
  if (!UNPRINTABLE.test(character)) return character;
  return [...Buffer.from(character)].map(escaped).join("");
}

function showByte(byte: number): string {
  return byte < 0x80 ? showCharacter(String.fromCharCode(byte)) : escaped(byte);
}

function escaped(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
