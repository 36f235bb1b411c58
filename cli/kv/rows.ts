/** A table's rows as objects for programs. */
import type { VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { bytesJson, type Notation } from "./bytes.ts";

export function rowsJson(rows: readonly VersionedRow[], notation: Notation) {
  return rows.map(({ row, value, version, deleted }) => ({
    ...bytesJson("row", row, notation),
    version,
    ...(deleted ? { deleted } : bytesJson("value", value, notation)),
  }));
}
