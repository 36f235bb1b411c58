/** Lines of hand-made histories; what a test does not care about is filled in. */
import type {
  KeyRead,
  KeyWrite,
  ReplicaState,
  RowOperation,
  RowResult,
  SeenRow,
  TableRead,
  TableWrite,
} from "../../history.ts";

/** [start, end] in ms. */
type Span = readonly [number, number];

function call([start, end]: Span, id = "") {
  return { type: "op", client: 0, id, key: "k", start, end, outcome: "ok" } as const;
}

export function put(
  span: Span,
  value: string,
  version: number,
  more: Partial<KeyWrite> = {},
): KeyWrite {
  return { ...call(span, `id-${value}`), op: "put", value, applied: true, version, ...more };
}

/** A put of which nobody knows whether it took effect. */
export function putUnknown(span: Span, value: string): KeyWrite {
  return { ...call(span, `id-${value}`), op: "put", value, outcome: "unknown" };
}

export function erase(span: Span, version: number): KeyWrite {
  return { ...call(span, `erase-${version}`), op: "delete", applied: true, version };
}

export function get(
  span: Span,
  value: string | null,
  version: number,
  more: Partial<KeyRead> = {},
): KeyRead {
  return {
    ...call(span),
    op: "get",
    found: value !== null,
    version,
    ...(value !== null && { value }),
    ...more,
  };
}

export function change(
  span: Span,
  version: number,
  operations: readonly RowOperation[],
  more: Partial<TableWrite> = {},
): TableWrite {
  const results = operations.map((): RowResult => ({ existed: false, value: "", number: 0 }));
  const id = `change-${span[0]}-${version}`;
  return { ...call(span, id), op: "change", applied: true, version, operations, results, ...more };
}

/** A change of which nobody knows whether it took effect. */
export function changeUnknown(span: Span, operations: readonly RowOperation[]): TableWrite {
  return { ...call(span, `change-${span[0]}`), op: "change", operations, outcome: "unknown" };
}

export function rows(
  span: Span,
  version: number,
  seen: readonly SeenRow[],
  lastNumber = 0,
  more: Partial<TableRead> = {},
): TableRead {
  return { ...call(span), op: "rows", version, rows: seen, lastNumber, ...more };
}

export function changes(
  span: Span,
  after: number,
  version: number,
  seen: readonly SeenRow[],
  more: Partial<TableRead> = {},
): TableRead {
  return { ...call(span), op: "changes", after, version, through: version, rows: seen, ...more };
}

export function state(
  replica: number,
  known: number,
  more: Partial<ReplicaState> = {},
): ReplicaState {
  const versions = { known, digest: known * 7, held: known, heldDigest: known * 7 };
  return { type: "replica", replica, key: "k", model: "key", ...versions, ids: [], ...more };
}
