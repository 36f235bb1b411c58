/**
 * Which slots this replica serves, durably: a small file that is replaced as a whole, and an array that
 * every vote and every client's operation looks into.
 */
import { join } from "node:path";
import { z } from "zod";
import { RpcError } from "../../svrkit/errors.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import type { TextFiles } from "../../svrkit/text-files.ts";
import { type Floor, isAbsent, NO_FLOOR } from "../protocol/absent.ts";
import { GROUPS_MAX } from "../protocol/ballot.ts";
import { planted } from "../protocol/planted.ts";
import type { Register } from "../protocol/register.ts";
import { latin1 } from "../storage/record.ts";
import { type FloorSpan, floorsWithin, highest, withFloor, withoutFloors } from "./plan/floors.ts";
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
const slot = z
  .int()
  .min(0)
  .max(SLOTS - 1);
const spanShape = { keyspace: z.int().min(1).max(255), first: slot, last: slot };
const floorShape = { version: number, forgottenMs: number };
const floorSchema = z.strictObject({ ...spanShape, ...floorShape });

const forgettingSchema = z.strictObject({
  /** Of the attempt (protocol/forgetting.ts). */
  number: z.int().min(1),
  /** removing: it is decided, the floor is in force, and their records may still be in the engine. */
  stage: z.enum(["frozen", "removing"]),
  span: z.strictObject(spanShape),
  floor: z.strictObject(floorShape),
  keys: z.array(z.strictObject({ key: z.string(), version: number, digest: number })),
});

/** Tombstones that this replica is about to forget, or forgets; keys are base64. */
export type BeingForgotten = z.output<typeof forgettingSchema>;

/** Of format 2 are the files that name a floor or what is being forgotten: older replicas do not know it. */
const fileSchema = z.strictObject({
  format: z.union([z.literal(1), z.literal(2)]),
  floors: z.array(floorSchema).optional(),
  /** Of a new member, in force once it has copied everything. */
  floorsWhenFull: z.array(floorSchema).optional(),
  forgetting: forgettingSchema.optional(),
  spans: z.array(
    z.strictObject({
      ...spanShape,
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
  #held: HeldFile;
  /** By keyspace and slot, where there are floors. */
  #floors: ReadonlyMap<number, Floor> = new Map();
  /** Register keys of what is being forgotten. */
  #names: ReadonlySet<string> = new Set();
  readonly #waiting = new Set<() => void>();
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
    this.#held = heldIn(this.#text);
    this.#index();
  }

  get #spans(): readonly HeldSpan[] {
    return this.#held.spans;
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
    const held = others.map(heldIn);
    const spans = holdingsAnew(
      group,
      held.map((other) => other.spans),
      SLOTS,
    );
    const floors = highest(...held.map((other) => other.floors));
    if (spans.length + floors.length === 0) return;
    const when = planted("floor-before-full") ? { floors } : { floorsWhenFull: floors };
    const text = textOf({ ...EMPTY_FILE, spans, ...when });
    files.replace(join(dir, SLOTS_FILE), text);
  }

  /** The table of a group that never ran, with these floors; durable when it returns. */
  static seed(dir: string, files: TextFiles, floors: readonly FloorSpan[]): void {
    if (floors.length > 0)
      files.replace(join(dir, SLOTS_FILE), textOf({ ...EMPTY_FILE, floors: highest(floors) }));
  }

  /** Everything was copied: what is not here is nowhere. Durable when it returns. */
  becomeFull(): void {
    const { spans, floors, floorsWhenFull } = this.#held;
    if (floorsWhenFull.length === 0) return;
    const owned = floorsWhenFull.flatMap((floor) => this.#ownedWithin(floor, spans));
    this.#keep({ ...this.#held, floors: highest(floors, owned), floorsWhenFull: [] });
  }

  get isFilling(): boolean {
    return this.#held.floorsWhenFull.length > 0;
  }

  /** Of the key's slot: what is not here is at this version. */
  floorOf(registerKey: Buffer): Floor {
    return this.#floors.get(registerKey.readUIntBE(0, 3)) ?? NO_FLOOR;
  }

  floorsWithin(spans: readonly SlotSpan[]): FloorSpan[] {
    return floorsWithin(this.#held.floors, spans);
  }

  get forgetting(): BeingForgotten | undefined {
    return this.#held.forgetting;
  }

  /** No vote may be given on it: it is about to be forgotten, or what is not here gets a new floor. */
  freezes(registerKey: Buffer, register: Register): boolean {
    const { forgetting } = this.#held;
    if (forgetting?.stage !== "frozen") return false;
    const { keyspace, first, last } = forgetting.span;
    if (registerKey[0] !== keyspace) return false;
    const slot = registerKey.readUInt16BE(1);
    if (slot < first || slot > last) return false;
    if (register.known.version > forgetting.floor.version) return false;
    if (isAbsent(register)) return true;
    return this.#names.has(latin1(registerKey));
  }

  /** Resolves when nothing is frozen any more, or after so long. */
  async thawed(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      timer = setTimeout(wake, ms);
    });
    clearTimeout(timer);
  }

  /** Durable when it returns. */
  freeze(attempt: Omit<BeingForgotten, "stage">): void {
    this.#keep({ ...this.#held, forgetting: { ...attempt, stage: "frozen" } });
  }

  /** It is decided: the floor is in force, of the slots that are still served here. */
  raiseFloor(): void {
    const { forgetting, spans, floors } = this.#held;
    if (forgetting?.stage !== "frozen") return;
    const owned = this.#ownedWithin({ ...forgetting.span, ...forgetting.floor }, spans);
    const raised = owned.reduce<readonly FloorSpan[]>((all, f) => withFloor(all, f, f), floors);
    this.#keep({ ...this.#held, floors: raised, forgetting: { ...forgetting, stage: "removing" } });
    this.wake();
  }

  /** Nothing is being forgotten any more. */
  endForgetting(): void {
    this.#keep({ ...this.#held, forgetting: undefined });
    this.wake();
  }

  /** Whoever waits for the end of what is frozen looks again. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #ownedWithin(floor: FloorSpan, spans: readonly HeldSpan[]): FloorSpan[] {
    const owned: FloorSpan[] = [];
    for (let slot = floor.first; slot <= floor.last; slot++) {
      const at = { keyspace: floor.keyspace, slot };
      if ((holdingAt(spans, at) ?? this.#atFirst).state !== "owned") continue;
      const last = owned.at(-1);
      if (last !== undefined && last.last === slot - 1)
        owned[owned.length - 1] = { ...last, last: slot };
      else owned.push({ ...floor, first: slot, last: slot });
    }
    return owned;
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

  /** What there is of this key here is this replica's: its slot was not moved away. */
  holds(registerKey: Buffer): boolean {
    return this.holding(registerKey[0]!, registerKey.readUInt16BE(1)).state !== "gone";
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

  /**
   * Durable when it returns, so that nothing is answered in between. `taken`: the floors that come with
   * slots taken over; they go with those that are given away.
   */
  hold(spans: readonly SlotSpan[], holding: SlotHolding, taken: readonly FloorSpan[] = []): void {
    let next = this.#spans;
    for (const span of spans) next = withHolding(next, span, holding);
    const { state } = holding;
    const isHere = state === "owned" || state === "sealed";
    const kept = isHere ? this.#held.floors : withoutFloors(this.#held.floors, spans);
    this.#keep({ ...this.#held, spans: next, floors: highest(kept, taken) });
  }

  #keep(held: HeldFile): void {
    const text = textOf(planted("floor-not-kept") ? { ...held, floors: [] } : held);
    if (text !== this.#text) this.#files.replace(this.#path, text);
    this.#text = text;
    this.#held = held;
    this.#index();
  }

  #index(): void {
    const codes = new Map<number, Uint8Array>();
    for (const { keyspace, first, last, holding } of this.#spans) {
      const own = codes.get(keyspace) ?? new Uint8Array(SLOTS).fill(codeOf(this.#atFirst));
      codes.set(keyspace, own.fill(codeOf(holding), first, last + 1));
    }
    this.#codes = codes;
    const floors = new Map<number, Floor>();
    for (const { keyspace, first, last, version, forgottenMs } of this.#held.floors) {
      const floor = { version, forgottenMs };
      for (let slot = first; slot <= last; slot++) floors.set(keyspace * 0x10000 + slot, floor);
    }
    this.#floors = floors;
    const keys = this.#held.forgetting?.keys ?? [];
    this.#names = new Set(keys.map(({ key }) => latin1(Buffer.from(key, "base64"))));
  }
}

function codeOf({ state }: SlotHolding): number {
  if (state === "owned") return SERVES;
  if (state === "sealed" && planted("slot-served-by-two-groups")) return SERVES;
  return state === "receiving" ? LEARNS : CLOSED;
}

interface HeldFile {
  readonly spans: readonly HeldSpan[];
  readonly floors: readonly FloorSpan[];
  readonly floorsWhenFull: readonly FloorSpan[];
  readonly forgetting: BeingForgotten | undefined;
}

const EMPTY_FILE: HeldFile = { spans: [], floors: [], floorsWhenFull: [], forgetting: undefined };

function heldIn(text: string): HeldFile {
  if (text === "") return EMPTY_FILE;
  const {
    spans,
    floors = [],
    floorsWhenFull = [],
    forgetting,
  } = fileSchema.parse(JSON.parse(text));
  return { spans, floors, floorsWhenFull, forgetting };
}

function textOf({ spans, floors, floorsWhenFull, forgetting }: HeldFile): string {
  const more = {
    ...(floors.length > 0 && { floors }),
    ...(floorsWhenFull.length > 0 && { floorsWhenFull }),
    ...(forgetting !== undefined && { forgetting }),
  };
  const format = Object.keys(more).length === 0 ? 1 : 2;
  return JSON.stringify({ format, spans, ...more });
}
