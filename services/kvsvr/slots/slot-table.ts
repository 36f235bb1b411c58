/**
 * Which slots this replica serves, durably: a small file that is replaced as a whole, and an array that
 * every vote and every client's operation looks into.
 */
import { join } from "node:path";
import { z } from "zod";
import { RpcError } from "../../svrkit/errors.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import type { TextFiles } from "../../svrkit/text-files.ts";
import { GROUPS_MAX } from "../protocol/ballot.ts";
import { planted } from "../protocol/planted.ts";
import {
  type HeldSpan,
  holdingAt,
  holdingAtFirst,
  holdingsAnew,
  type SlotHolding,
  type SlotSpan,
  withHolding,
} from "./plan/held-slots.ts";

const SLOTS_FILE = "slots.json";

const number = z.int().min(0);
const fileSchema = z.strictObject({
  format: z.literal(1),
  spans: z.array(
    z.strictObject({
      keyspace: z.int().min(1).max(255),
      first: z
        .int()
        .min(0)
        .max(SLOTS - 1),
      last: z
        .int()
        .min(0)
        .max(SLOTS - 1),
      holding: z.discriminatedUnion("state", [
        z.strictObject({ state: z.literal("owned") }),
        z.strictObject({ state: z.literal("receiving"), move: number, anew: z.boolean() }),
        z.strictObject({ state: z.literal("sealed"), move: number, to: number }),
        z.strictObject({
          state: z.literal("gone"),
          to: z.int().min(0).max(GROUPS_MAX),
          lostIn: number.optional(),
        }),
      ]),
    }),
  ),
});

/** What a slot's registers may be stepped by. */
const SERVES = 2;
const LEARNS = 1;
const CLOSED = 0;

export class SlotTable {
  readonly group: number;
  readonly #path: string;
  readonly #files: TextFiles;
  #text: string;
  #spans: readonly HeldSpan[];
  /** By keyspace, where it is not as at first. */
  #codes: ReadonlyMap<number, Uint8Array> = new Map();
  readonly #atFirst: SlotHolding;
  readonly #codeAtFirst: number;

  constructor(dir: string, files: TextFiles, group: number) {
    this.group = group;
    this.#path = join(dir, SLOTS_FILE);
    this.#files = files;
    this.#atFirst = holdingAtFirst(group);
    this.#codeAtFirst = codeOf(this.#atFirst);
    this.#text = files.read(this.#path) ?? "";
    this.#spans = spansIn(this.#text);
    this.#index();
  }

  /** As it lies on the disk; empty: as at first. */
  get text(): string {
    return this.#text;
  }

  /** The table of a new member, from those of both others (S3); durable when it returns. */
  static begin(
    dir: string,
    files: TextFiles,
    { group, others }: { group: number; others: readonly string[] },
  ): void {
    const spans = holdingsAnew(group, others.map(spansIn), SLOTS);
    if (spans.length > 0) files.replace(join(dir, SLOTS_FILE), textOf(spans));
  }

  /** Operations and votes on this key are this replica's to answer. */
  serves(registerKey: Buffer): boolean {
    return this.#codeOf(registerKey) === SERVES;
  }

  /** What is decided about this key may be taken in. */
  learns(registerKey: Buffer): boolean {
    return this.#codeOf(registerKey) !== CLOSED;
  }

  /** Throws MOVED when another group serves the key, UNAVAILABLE when others of this group do. */
  requireServed(registerKey: Buffer): void {
    if (this.serves(registerKey)) return;
    const keyspace = registerKey[0]!;
    const slot = registerKey.readUInt16BE(1);
    const holding = this.holding(keyspace, slot);
    if (holding.state === "receiving") {
      throw new RpcError(
        "UNAVAILABLE",
        `this replica has not taken over slot ${slot} of keyspace ${keyspace} yet; another one may have`,
      );
    }
    const to = holding.state === "sealed" || holding.state === "gone" ? holding.to : 0;
    const where = to === 0 ? "another group, see the map" : `group ${to}`;
    throw new RpcError(
      "MOVED",
      `slot ${slot} of keyspace ${keyspace} is ${holding.state} in group ${this.group}: ${where} serves it`,
    );
  }

  #codeOf(registerKey: Buffer): number {
    const codes = this.#codes.get(registerKey[0]!);
    if (codes === undefined) return this.#codeAtFirst;
    return codes[registerKey.readUInt16BE(1)]!;
  }

  holding(keyspace: number, slot: number): SlotHolding {
    return holdingAt(this.#spans, { keyspace, slot }) ?? this.#atFirst;
  }

  /** All of these slots are held so. */
  all(spans: readonly SlotSpan[], isSo: (holding: SlotHolding) => boolean): boolean {
    return spans.every(({ keyspace, first, last }) => {
      for (let slot = first; slot <= last; slot++)
        if (!isSo(this.holding(keyspace, slot))) return false;
      return true;
    });
  }

  /** Durable when it returns, so that nothing is answered in between. */
  hold(spans: readonly SlotSpan[], holding: SlotHolding): void {
    let next = this.#spans;
    for (const span of spans) next = withHolding(next, span, holding);
    const text = textOf(next);
    if (text === this.#text) return;
    this.#files.replace(this.#path, text);
    this.#text = text;
    this.#spans = next;
    this.#index();
  }

  #index(): void {
    const codes = new Map<number, Uint8Array>();
    for (const { keyspace, first, last, holding } of this.#spans) {
      const own = codes.get(keyspace) ?? new Uint8Array(SLOTS).fill(codeOf(this.#atFirst));
      codes.set(keyspace, own.fill(codeOf(holding), first, last + 1));
    }
    this.#codes = codes;
  }
}

function codeOf({ state }: SlotHolding): number {
  if (state === "owned") return SERVES;
  if (state === "sealed" && planted("slot-served-by-two-groups")) return SERVES;
  return state === "receiving" ? LEARNS : CLOSED;
}

function spansIn(text: string): readonly HeldSpan[] {
  return text === "" ? [] : fileSchema.parse(JSON.parse(text)).spans;
}

function textOf(spans: readonly HeldSpan[]): string {
  return JSON.stringify({ format: 1, spans });
}
