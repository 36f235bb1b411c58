/**
 * Pages of a table. A page is a snapshot: of one version, whole. Where much is passed over to fill one,
 * others get a turn in between; when the table has changed meanwhile the page is begun anew, and at last
 * made in one turn.
 */
import type { VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { PAGE_BYTES_MAX, PAGE_ROWS_MAX, SCAN_LOOKED_ROWS } from "./limits.ts";
import type { Register } from "./protocol/register.ts";
import { ROW_CLASS } from "./protocol/trim.ts";
import type { EngineRow, RowRange } from "./storage/engine.ts";
import type { Entry } from "./storage/entry.ts";
import type { State } from "./storage/state.ts";

const RESTARTS_MAX = 3;
/** A turn of the event loop gives so many milliseconds to pages; those of other callers wait. */
const TURN_MS = 10;

/**
 * Lets callers look at tables one after the other, and everything else in between: when a campus comes
 * back, many ask for a page in one moment.
 */
class Turns {
  #usedMs = 0;
  readonly #waiting: (() => void)[] = [];
  #next: NodeJS.Immediate | undefined;

  get isUsedUp(): boolean {
    return this.#usedMs >= TURN_MS || this.#waiting.length > 0;
  }

  /** Resolves when it is the caller's turn, who then must look and say so. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  looked(ms: number): void {
    this.#usedMs += ms;
    this.#next ??= setImmediate(() => {
      this.#next = undefined;
      this.#usedMs = 0;
      this.#waiting.shift()?.();
    });
    if (this.#usedMs < TURN_MS) this.#waiting.shift()?.();
  }
}

const turns = new Turns();

/** Rows of an answer, bounded in number and bytes. */
class Page {
  readonly rows: VersionedRow[] = [];
  readonly #limit: number;
  #bytes = 0;
  more = false;

  constructor(limit: number) {
    this.#limit = Math.min(limit || PAGE_ROWS_MAX, PAGE_ROWS_MAX);
  }

  get isFull(): boolean {
    return this.rows.length >= this.#limit || this.#bytes >= PAGE_BYTES_MAX;
  }

  add(row: EngineRow): void {
    const { value, version, deleted } = row;
    this.rows.push({ row: row.row.subarray(1), value, version, deleted });
    this.#bytes += row.row.length + value.length;
  }
}

interface TablePage {
  readonly rows: VersionedRow[];
  /** Others follow. */
  readonly more: boolean;
  /** The table that the page shows. */
  readonly register: Register;
}

/** Present rows of a range in its order. */
export function pageOfRows(
  state: State,
  entry: Entry,
  scan: { range: RowRange; limit: number },
): Promise<TablePage> {
  return inTurns(entry, scan.limit, scan.range, (page, range, most) => {
    const take = (row: EngineRow) => {
      page.more = page.isFull;
      if (!page.more) page.add(row);
      return !page.more;
    };
    return state.lookAtRows(entry, { range, most, take });
  });
}

/** Rows above a version in the order of versions; a page ends with a whole version. */
export function pageOfChanges(
  state: State,
  entry: Entry,
  scan: { after: number; limit: number },
): Promise<TablePage> {
  return inTurns(entry, scan.limit, scan.after, (page, after, most) => {
    const take = (row: EngineRow) => {
      if (row.row[0] !== ROW_CLASS.row) return true;
      page.more = page.isFull && row.version !== page.rows.at(-1)?.version;
      if (!page.more) page.add(row);
      return !page.more;
    };
    return state.lookAtChanges(entry, { after, most, take });
  });
}

/** `look` looks at no more than `most` rows from `rest` on and tells what is left. */
async function inTurns<Rest>(
  entry: Entry,
  limit: number,
  all: Rest,
  look: (page: Page, rest: Rest, most: number) => Rest | undefined,
): Promise<TablePage> {
  // Evicted in between, and read again by another, the entry would not hear of changes.
  entry.pins += 1;
  try {
    for (let attempt = 0; ; attempt++) {
      if (turns.isUsedUp) await turns.wait();
      const most = attempt < RESTARTS_MAX ? SCAN_LOOKED_ROWS : Number.POSITIVE_INFINITY;
      const { register } = entry;
      const isSame = () => entry.register.heldVersion === register.heldVersion;
      const page = new Page(limit);
      let rest: Rest | undefined = all;
      while (rest !== undefined && !page.more && isSame()) {
        const startedMs = monotonicMs();
        try {
          rest = look(page, rest, most);
        } finally {
          turns.looked(monotonicMs() - startedMs);
        }
        if (rest !== undefined && !page.more) await new Promise((turn) => setImmediate(turn));
      }
      if (isSame()) return { rows: page.rows, more: page.more, register };
    }
  } finally {
    entry.pins -= 1;
  }
}
