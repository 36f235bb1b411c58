import { expect, test } from "vitest";
import type { VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { firstVersions } from "./page.ts";

/** Rows of 10 bytes, of these versions. */
const rowsOf = (versions: number[]): VersionedRow[] =>
  versions.map((version) => ({
    ...{ version, deleted: false, row: Buffer.alloc(4), value: Buffer.alloc(6) },
  }));

test.each([
  { versions: [], bytesMax: 10, shown: [] },
  { versions: [1, 2, 3], bytesMax: 30, shown: [1, 2, 3] },
  { versions: [1, 2, 3], bytesMax: 29, shown: [1, 2] },
  { versions: [1, 2, 2, 3], bytesMax: 25, shown: [1] },
  { versions: [1, 1, 1, 2], bytesMax: 25, shown: [1, 1, 1] },
  { versions: [1, 1, 1], bytesMax: 25, shown: [1, 1, 1] },
])("page: whole versions of $versions within $bytesMax bytes", ({ versions, bytesMax, shown }) => {
  expect(firstVersions(rowsOf(versions), bytesMax).map((row) => row.version)).toEqual(shown);
});
