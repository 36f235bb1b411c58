/**
 * Linearizability of tables. As with keys the order of versions is given; but one version packs many
 * changes, whose order inside it is not seen from outside, so several writes of one row in one version
 * may have left any of their values. Checked are:
 *
 *   1. real time: as for keys (real-time.ts)
 *   2. rows: a read at version v shows, of every row, a newest write at or below v, and nothing else;
 *      a value has one version, its writer's
 *   3. insert-if-absent: one creator a row, and everybody is shown that one's value
 *   4. appends: an id has one number, numbers rise with versions, and none is missing
 *   5. marks: each step from one number to the next is taken once
 *   6. `alone`: nobody else wrote in that version
 *   7. trims: what was forgotten stays so, is left out of every page, and nothing else is
 *
 * Row names that begin with "i" are only inserted, with "n/" only appended and trimmed; others may be
 * deleted too.
 */
import type { Line, SeenRow, TableRead, TableWrite } from "../history.ts";
import { byKey } from "./by-key.ts";
import { behindTheirTime, type Placed } from "./real-time.ts";
import { RowHistory, type RowWrite } from "./row-history.ts";
import { leavesOut, TrimHistory } from "./trim-history.ts";
import type { Violation } from "./violation.ts";

type TableOperation = TableWrite | TableRead;

export function checkTables(lines: readonly Line[]): Violation[] {
  const operations = lines.filter(isTableOperation);
  return [...byKey(operations)].flatMap(([key, own]) => new TableChecker(key, own).check());
}

function isTableOperation(line: Line): line is TableOperation {
  return (
    line.type === "op" && (line.op === "change" || line.op === "rows" || line.op === "changes")
  );
}

class TableChecker {
  readonly #key: string;
  readonly #writes: readonly TableWrite[];
  readonly #reads: readonly TableRead[];
  readonly #violations: Violation[] = [];
  /** Version in which a change took effect: acknowledged, or seen by its rows. */
  readonly #versionOf = new Map<TableWrite, number>();
  readonly #rows = new RowHistory();

  constructor(key: string, operations: readonly TableOperation[]) {
    this.#key = key;
    this.#writes = operations.filter((o) => o.op === "change");
    this.#reads = operations.filter((o) => o.op !== "change" && o.outcome === "ok") as TableRead[];
  }

  check(): Violation[] {
    this.#placeWrites();
    this.#placeSeen();
    for (const [write, version] of this.#versionOf) this.#rows.add(write, version);
    for (const write of this.#writes)
      if (write.outcome === "unknown" && !this.#versionOf.has(write)) this.#rows.addUnplaced(write);
    this.#checkRealTime();
    for (const read of this.#reads) this.#checkRead(read);
    this.#checkInserts();
    this.#checkNumbers();
    this.#checkMarks();
    this.#checkAlone();
    for (const { read, wrong } of new TrimHistory(this.#writes).check(this.#reads))
      this.#report(`${show(read)} ${wrong}`);
    return this.#violations;
  }

  #report(message: string): void {
    this.#violations.push({ checker: "tables", key: this.#key, message });
  }

  #placeWrites(): void {
    for (const write of this.#writes)
      if (write.applied === true) this.#versionOf.set(write, write.version!);
  }

  /** A change whose outcome is unknown has the version under which its values were seen. */
  #placeSeen(): void {
    const writers = new Map<string, TableWrite>();
    for (const write of this.#writes)
      for (const operation of write.operations)
        if ("value" in operation) writers.set(operation.value, write);
    for (const read of this.#reads) {
      for (const [row, value, version] of read.rows ?? []) {
        if (value === null) continue;
        const writer = writers.get(value);
        if (writer === undefined) this.#report(`${show(read)} saw "${value}", which nobody wrote`);
        else this.#place(writer, version, () => `${show(read)} saw row ${row} of ${show(writer)}`);
        this.#rows.addSeen(row, value, version);
      }
    }
  }

  #place(writer: TableWrite, version: number, what: () => string): void {
    const before = this.#versionOf.get(writer);
    if (before === undefined && writer.outcome === "unknown") this.#versionOf.set(writer, version);
    // Without an operation id a repeated change may hear the later version in which it wrote nothing.
    else if (before !== version && (writer.id !== "" || before === undefined || before < version))
      this.#report(`${what()} as version ${version}, and it was ${before}`);
    else if (before !== version) this.#versionOf.set(writer, version);
  }

  #checkRealTime(): void {
    const placed: Placed<TableOperation>[] = [];
    for (const [operation, version] of this.#versionOf)
      placed.push({ operation, version, isWriter: hasWritten(operation) });
    for (const operation of this.#writes)
      if (operation.applied === false)
        placed.push({ operation, version: operation.version!, isWriter: false });
    for (const operation of this.#reads)
      placed.push({ operation, version: operation.version!, isWriter: false });
    for (const { late, missed } of behindTheirTime(placed))
      this.#report(
        `${show(late.operation)} came after ${show(missed.operation)} and took place before it`,
      );
  }

  #checkRead(read: TableRead): void {
    const seen = new Map<string, SeenRow>(read.rows!.map((row) => [row[0], row]));
    if (seen.size !== read.rows!.length) this.#report(`${show(read)} saw a row twice`);
    const after = read.after ?? 0;
    for (const row of this.#rows.names.keys()) {
      const newest = this.#rows.newest(row, read.version!);
      const shown = seen.get(row);
      if (shown !== undefined) this.#checkShown(read, shown, newest);
      else if (newest !== undefined && newest.version > after) this.#checkAbsent(read, row, newest);
    }
    for (const [row] of seen)
      if (!this.#rows.names.has(row))
        this.#report(`${show(read)} saw row ${row}, which nobody wrote`);
  }

  #checkShown(read: TableRead, shown: SeenRow, newest: RowWrite | undefined): void {
    const [row, value, version] = shown;
    if (leavesOut(read, row, version))
      this.#report(`${show(read)} saw row ${row} of version ${version}, which is forgotten`);
    const fits = newest !== undefined && newest.version === version && newest.values.has(value);
    if (fits) return;
    // Deletions of unknown outcome have no version.
    if (value === null && this.#rows.mayBeDeleted(row) && version >= (newest?.version ?? 0)) return;
    this.#report(
      `${show(read)} saw row ${row} as "${value}" of version ${version}; the newest is ${describe(newest)}`,
    );
  }

  #checkAbsent(read: TableRead, row: string, newest: RowWrite): void {
    const isDeleted = newest.values.has(null) && read.op === "rows";
    if (isDeleted || leavesOut(read, row, newest.version) || this.#rows.mayBeDeleted(row)) return;
    this.#report(`${show(read)} did not see row ${row}; the newest is ${describe(newest)}`);
  }

  /** What was created is what everybody who came later is shown. */
  #checkInserts(): void {
    const creators = new Map<string, TableWrite>();
    const shown = new Map<string, string>();
    for (const write of this.#writes) {
      write.results?.forEach(({ existed, value }, i) => {
        const operation = write.operations[i]!;
        if (operation.do !== "insert") return;
        const { row } = operation;
        const there = existed ? value : operation.value;
        if ((shown.get(row) ?? there) !== there)
          this.#report(
            `${show(write)} found "${there}" in row ${row}, which held "${shown.get(row)}"`,
          );
        shown.set(row, there);
        if (existed) return;
        const other = creators.get(row);
        if (other !== undefined)
          this.#report(`${show(write)} and ${show(other)} both created row ${row}`);
        creators.set(row, write);
      });
    }
  }

  #checkNumbers(): void {
    const numberOf = new Map<string, number>();
    const placed: { number: number; version: number }[] = [];
    const takenBy = new Map<number, string>();
    for (const write of this.#writes) {
      write.results?.forEach(({ existed, number }, i) => {
        const operation = write.operations[i]!;
        if (operation.do !== "append") return;
        const { id } = operation;
        if ((numberOf.get(id) ?? number) !== number)
          this.#report(`${show(write)} appended ${id} as ${number}; it was ${numberOf.get(id)}`);
        if ((takenBy.get(number) ?? id) !== id)
          this.#report(
            `${show(write)} appended ${id} as ${number}, which is ${takenBy.get(number)}`,
          );
        numberOf.set(id, number);
        takenBy.set(number, id);
        if (!existed) placed.push({ number, version: this.#versionOf.get(write)! });
      });
    }
    placed.sort((a, b) => a.number - b.number);
    for (const [i, { number, version }] of placed.entries())
      if (i > 0 && placed[i - 1]!.version > version)
        this.#report(
          `number ${number} of version ${version} follows one of version ${placed[i - 1]!.version}`,
        );
    for (const read of this.#reads) this.#checkSequence(read);
  }

  /** All numbers up to the last are there, but for the first ones when they are forgotten. */
  #checkSequence(read: TableRead): void {
    if (read.op !== "rows") return;
    const names = new Set(read.rows!.map(([row]) => row).filter((row) => row.startsWith("n/")));
    const isTrimmed = read.trims?.some(([prefix]) => prefix === "n/") ?? false;
    const first = isTrimmed ? Math.min(...[...names].map((name) => Number(name.slice(2)))) : 1;
    for (let number = first; number <= read.lastNumber!; number++)
      if (!names.has(`n/${number}`)) this.#report(`${show(read)} misses number ${number}`);
    if (names.size > read.lastNumber!)
      this.#report(`${show(read)} has ${names.size} numbers, the last is ${read.lastNumber}`);
  }

  #checkMarks(): void {
    const names = new Set(
      this.#writes.flatMap(({ mark }) => (mark === undefined ? [] : [mark.name])),
    );
    for (const name of names) {
      const own = this.#writes.filter(({ mark }) => mark?.name === name);
      const steps = own.filter(({ applied }) => applied === true);
      steps.sort((a, b) => a.mark!.from - b.mark!.from);
      for (const [i, step] of steps.entries()) {
        const before = steps[i - 1];
        if (before === undefined) continue;
        if (before.mark!.to > step.mark!.from)
          this.#report(
            `mark ${name}: ${show(before)} and ${show(step)} both went on from ${step.mark!.from}`,
          );
        if (before.version! > step.version!)
          this.#report(`mark ${name}: ${show(step)} is above and has the lower version`);
      }
    }
  }

  #checkAlone(): void {
    const writers = new Map<number, TableWrite[]>();
    for (const write of this.#writes) {
      if (write.applied !== true || !hasWritten(write)) continue;
      const version = this.#versionOf.get(write)!;
      writers.set(version, [...(writers.get(version) ?? []), write]);
    }
    for (const [version, own] of writers) {
      if (own.length < 2) continue;
      const alone = own.find((write) => write.alone === true);
      if (alone !== undefined) this.#report(`${show(alone)} is not alone in version ${version}`);
    }
  }
}

/** Whether an acknowledged change wrote anything; one of unknown outcome that was seen did. */
function hasWritten(write: TableWrite): boolean {
  if (write.outcome === "unknown") return true;
  if (write.mark !== undefined) return true;
  return write.operations.some((operation, i) => {
    const { existed } = write.results![i]!;
    if (operation.do === "upsert") return true;
    return operation.do === "delete" ? existed : !existed;
  });
}

function describe(newest: RowWrite | undefined): string {
  if (newest === undefined) return "none";
  return `${[...newest.values].map((value) => JSON.stringify(value)).join(" or ")} of version ${newest.version}`;
}

function show(operation: TableOperation): string {
  const { op, client, start, end, version, outcome } = operation;
  const result = outcome === "ok" ? `version ${version}` : "unknown";
  return `${op} of client ${client} (${start}-${end}, ${result})`;
}
