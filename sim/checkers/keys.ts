/**
 * Linearizability of keys, in time linear in the history (but for one sort): the store numbers the
 * writes of a key, so their order need not be searched for. It is given, and must agree with what
 * was heard and when:
 *
 *   1. one version has one writer; an operation has one version (exactly once)
 *   2. a read's value is what the writer of its version wrote
 *   3. an operation that begins after another has ended sees its version, and writes above it;
 *      a recent read may have begun half a second sooner
 *   4. a compare-and-set is applied exactly when the version before its own is the expected one
 *   5. a version that nobody wrote is that of a deleted or unwritten key at its slot's floor
 *
 * A write whose outcome is unknown has the version under which a read, a replica's memory of its id
 * or nobody saw it; it may take effect any time after it began.
 */

import { slotOf } from "../../services/kvsvr/storage/record.ts";
import type { KeyRead, KeyWrite, Line } from "../history.ts";
import { byKey } from "./by-key.ts";
import { behindTheirTime, type Placed } from "./real-time.ts";
import type { Violation } from "./violation.ts";

type KeyOperation = KeyWrite | KeyRead;

export function checkKeys(lines: readonly Line[]): Violation[] {
  const operations = lines.filter(isKeyOperation);
  const floors = lines.filter((line) => line.type === "floor");
  return [...byKey(operations)].flatMap(([key, own]) => {
    const slot = slotOf(Buffer.from(key));
    const above = floors.filter(({ first, last }) => first <= slot && slot <= last);
    return new KeyChecker(key, own, new Set(above.map(({ version }) => version))).check();
  });
}

function isKeyOperation(line: Line): line is KeyOperation {
  return line.type === "op" && (line.op === "put" || line.op === "delete" || line.op === "get");
}

class KeyChecker {
  readonly #key: string;
  readonly #operations: readonly KeyOperation[];
  readonly #violations: Violation[] = [];
  readonly #writerOf = new Map<number, KeyWrite>();

  /** Versions that its slot's floor had. */
  readonly #floors: ReadonlySet<number>;

  constructor(
    key: string,
    operations: readonly KeyOperation[],
    floors: ReadonlySet<number> = new Set(),
  ) {
    this.#key = key;
    this.#floors = floors;
    this.#operations = operations;
  }

  check(): Violation[] {
    this.#placeAcknowledged();
    this.#placeSeen();
    this.#checkReads();
    this.#checkConditions();
    this.#checkRealTime();
    this.#checkCount();
    return this.#violations;
  }

  #report(message: string): void {
    this.#violations.push({ checker: "keys", key: this.#key, message });
  }

  #placeAcknowledged(): void {
    for (const operation of this.#operations) {
      if (operation.op === "get" || operation.applied !== true) continue;
      const version = operation.version!;
      const other = this.#writerOf.get(version);
      if (other !== undefined)
        this.#report(`version ${version} has two writers: ${show(other)} and ${show(operation)}`);
      this.#writerOf.set(version, operation);
    }
  }

  /** Writes of unknown outcome that a read has seen. */
  #placeSeen(): void {
    const byValue = new Map<string, KeyWrite>();
    for (const operation of this.#operations)
      if (operation.op === "put") byValue.set(operation.value!, operation);
    const versionOf = new Map<KeyWrite, number>();
    for (const [version, writer] of this.#writerOf) versionOf.set(writer, version);
    for (const read of this.#operations) {
      if (read.op !== "get" || read.found !== true) continue;
      const version = read.version!;
      const writer = byValue.get(read.value!);
      if (writer === undefined) {
        this.#report(`${show(read)} saw a value that nobody wrote`);
        continue;
      }
      const before = versionOf.get(writer);
      if (before !== undefined && before !== version)
        this.#report(
          `${show(writer)} took effect twice: as version ${before}, and in ${show(read)}`,
        );
      if (writer.outcome !== "unknown" || before !== undefined) continue;
      versionOf.set(writer, version);
      if (!this.#writerOf.has(version)) this.#writerOf.set(version, writer);
    }
  }

  #checkReads(): void {
    const absentAt = new Set<number>([0]);
    for (const read of this.#operations) {
      if (read.op !== "get" || read.outcome !== "ok") continue;
      const version = read.version!;
      const writer = this.#writerOf.get(version);
      if (read.found === true) {
        if (version === 0) this.#report(`${show(read)} saw a value before any version`);
        if (absentAt.has(version))
          this.#report(`version ${version} was seen absent, and in ${show(read)}`);
        if (writer !== undefined && writer.value !== read.value)
          this.#report(`${show(read)} saw what ${show(writer)} did not write`);
        continue;
      }
      absentAt.add(version);
      if (writer?.op === "put")
        this.#report(`${show(read)} saw nothing where ${show(writer)} wrote`);
      const mayDelete = (o: KeyOperation) => o.op === "delete" && o.outcome === "unknown";
      const isUnknown = writer === undefined && !this.#operations.some(mayDelete);
      if (version > 0 && isUnknown && !this.#isForgotten(version))
        this.#report(`${show(read)} saw a deletion that nobody asked for`);
    }
  }

  /** The slot had this floor, and what was written last below it is a deletion, if anything is. */
  #isForgotten(version: number): boolean {
    const before = this.#newestBelow(version);
    return this.#floors.has(version) && this.#writerOf.get(before)?.op !== "put";
  }

  /** The newest version below that somebody wrote; 0: none. */
  #newestBelow(version: number): number {
    return Math.max(0, ...[...this.#writerOf.keys()].filter((other) => other < version));
  }

  #checkConditions(): void {
    for (const operation of this.#operations) {
      if (operation.op === "get" || operation.outcome !== "ok") continue;
      const { expected, version } = operation;
      const isFirst = expected === 0 && this.#floors.has(version! - 1);
      const follows = version === expected! + 1 || isFirst;
      if (operation.applied === true && expected !== undefined && !follows)
        this.#report(`${show(operation)} was applied although version ${version! - 1} was there`);
      if (operation.applied === false && (expected === undefined || version === expected))
        this.#report(`${show(operation)} was refused although its condition held`);
    }
  }

  #checkRealTime(): void {
    for (const { late, missed } of behindTheirTime(this.#placed()))
      this.#report(
        `${show(late.operation)} came after ${show(missed.operation)} and took place before it`,
      );
  }

  #placed(): Placed<KeyOperation>[] {
    const placed: Placed<KeyOperation>[] = [];
    for (const [version, operation] of this.#writerOf)
      placed.push({ operation, version, isWriter: true });
    for (const operation of this.#operations) {
      if (operation.outcome !== "ok" || (operation.op !== "get" && operation.applied === true))
        continue;
      placed.push({ operation, version: operation.version!, isWriter: false });
    }
    return placed;
  }

  /** Every version was somebody's: more versions than writes means that one was carried out twice. */
  #checkCount(): void {
    const newest = Math.max(0, ...this.#placed().map(({ version }) => version));
    const jumps = [...this.#floors].filter(
      (floor) => !this.#writerOf.has(floor) && floor <= newest,
    );
    let passed = 0;
    for (const [i, floor] of jumps.sort((a, b) => a - b).entries())
      passed += floor - Math.max(this.#newestBelow(floor), jumps[i - 1] ?? 0);
    const unknown = this.#operations.filter(
      (o) => o.op !== "get" && o.outcome === "unknown",
    ).length;
    const acknowledged = this.#operations.filter(
      (o) => o.op !== "get" && o.applied === true,
    ).length;
    if (newest - passed > acknowledged + unknown)
      this.#report(
        `version ${newest} is more than ${acknowledged} acknowledged and ${unknown} unknown writes`,
      );
  }
}

function show(operation: KeyOperation): string {
  const { op, client, start, end, outcome, version, value } = operation;
  const what = value === undefined ? op : `${op} "${value}"`;
  const result = outcome === "ok" ? `version ${version}` : "unknown";
  return `${what} of client ${client} (${start}-${end}, ${result})`;
}
