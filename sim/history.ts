/**
 * What happened in a run, as outside observers saw it: one JSON object an operation, one line each,
 * in the order of their ends. README.md describes the format; checkers read nothing else.
 */
interface Call {
  readonly type: "op";
  readonly client: number;
  /** Hex; "" for reads. */
  readonly id: string;
  readonly key: string;
  /** Monotonic, ms. */
  readonly start: number;
  /** When the client heard; for an unknown outcome when it gave up. */
  readonly end: number;
  /** unknown: it may take effect at any time after `start`, or never. */
  readonly outcome: "ok" | "unknown";
  /** Code of the failure behind an unknown outcome. */
  readonly error?: string;
}

/** Replies are there when the outcome is "ok". */
export interface KeyWrite extends Call {
  readonly op: "put" | "delete";
  readonly value?: string;
  readonly expected?: number;
  readonly applied?: boolean;
  readonly version?: number;
}

/** Of a read that may be RECENT_MS old; others are not. */
interface ReadCall extends Call {
  readonly level?: "recent";
}

export interface KeyRead extends ReadCall {
  readonly op: "get";
  readonly found?: boolean;
  readonly value?: string;
  readonly version?: number;
}

export type RowOperation =
  | { readonly do: "upsert"; readonly row: string; readonly value: string }
  | { readonly do: "insert"; readonly row: string; readonly value: string }
  | { readonly do: "delete"; readonly row: string }
  | { readonly do: "append"; readonly id: string; readonly value: string }
  | { readonly do: "trim"; readonly prefix: string; readonly through: number };

export interface RowResult {
  readonly existed: boolean;
  readonly value: string;
  readonly number: number;
}

export interface TableWrite extends Call {
  readonly op: "change";
  /** Applies only when the mark stands at `from`, and raises it to `to`. */
  readonly mark?: { readonly name: string; readonly from: number; readonly to: number };
  readonly operations: readonly RowOperation[];
  readonly applied?: boolean;
  readonly version?: number;
  readonly alone?: boolean;
  readonly results?: readonly RowResult[];
  /** Where the mark stands, when it is not applied. */
  readonly actual?: number;
}

/** Row, value (null: deleted), version. */
export type SeenRow = readonly [row: string, value: string | null, version: number];

/** Row prefix, and the version through which such rows are forgotten. */
export type SeenTrim = readonly [prefix: string, through: number];

export interface TableRead extends ReadCall {
  /** All rows, or those above the version `after`. */
  readonly op: "rows" | "changes";
  readonly after?: number;
  readonly version?: number;
  /** changes: complete through this version. */
  readonly through?: number;
  readonly lastNumber?: number;
  readonly rows?: readonly SeenRow[];
  /** What the page leaves out. */
  readonly trims?: readonly SeenTrim[];
}

export type Operation = KeyWrite | KeyRead | TableWrite | TableRead;

/** What one replica holds of a key at the end, when it may serve. */
export interface ReplicaState {
  readonly type: "replica";
  readonly replica: number;
  readonly key: string;
  readonly model: "none" | "key" | "table";
  readonly known: number;
  readonly digest: number;
  readonly held: number;
  readonly heldDigest: number;
  /** Of a key: what it holds; null: deleted. */
  readonly value?: string | null;
  /** Of a table: every row, deleted ones included, in the order of row keys. */
  readonly rows?: readonly SeenRow[];
  /** Operation ids that are remembered, and the version each took effect in. */
  readonly ids: readonly (readonly [id: string, version: number])[];
}

/**
 * In these slots what is absent is, or may become, of this version (S5): deleted keys are forgotten, and
 * what is written next begins above it.
 */
interface FloorLine {
  readonly type: "floor";
  readonly first: number;
  /** Included. */
  readonly last: number;
  readonly version: number;
}

export type Line = Operation | ReplicaState | FloorLine;

export function isOperation(line: Line): line is Operation {
  return line.type === "op";
}

export function formatHistory(lines: readonly Line[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

export function parseHistory(text: string): Line[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}
