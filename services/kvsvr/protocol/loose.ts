/**
 * Loose changes of a table (S3): those above what is held that are decided, or may be, and wait for the ones
 * between. Several of one version may lie side by side; a digest tells which of them was decided.
 */
import type { RowWrite, StampedRow } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { Decision } from "./decision.ts";
import { mergeOperations, NO_OPERATIONS, TABLE_OPERATIONS_BYTES_MAX } from "./operations.ts";
import { planted } from "./planted.ts";
import type { Known, Register } from "./register.ts";
import { NO_TRIMS, withTrims } from "./trim.ts";

/** More waiting changes than this and a replica relies on fetching. */
const LOOSE_MAX = 1_000;

/**
 * An accepted change whose fate is not known when later versions turn out decided: it may be one of
 * only two copies of a decided change, so it is kept until the table is held beyond it. It is applied
 * only when the change after it names its digest as base.
 */
export function keepForLater(register: Register, decision: Decision | undefined): Register {
  if (decision?.model !== "table" || decision.version <= register.heldVersion) return register;
  const { known, loose } = register;
  const hasLost = decision.version === known.version && decision.digest !== known.digest;
  if (hasLost || loose.some(({ digest }) => digest === decision.digest)) return register;
  return { ...register, loose: insertLoose(loose, decision) };
}

function insertLoose(loose: readonly Decision[], decision: Decision): readonly Decision[] {
  if (loose.length >= LOOSE_MAX) return loose;
  return [...loose, decision].sort((a, b) => a.version - b.version);
}

/** Applies everything that follows without a gap, with a decided change `added` to it, if any. */
export function applyLoose(
  register: Register,
  added: Decision | undefined,
): { register: Register; rows: readonly StampedRow[] } {
  const { known } = register;
  let loose = added === undefined ? register.loose : withDecided(register.loose, added);
  let { heldVersion, heldDigest, held } = register;
  const rows: StampedRow[] = [];
  for (
    let next = provedNext(loose, { known, added, heldVersion, heldDigest });
    next !== undefined;
    next = provedNext(loose, { known, added, heldVersion, heldDigest })
  ) {
    const { delta, version } = next;
    for (const row of delta.rows) rows.push(stamp(row, version));
    const before = held.model === "table" ? held.operations : NO_OPERATIONS;
    const added = delta.operations ?? NO_OPERATIONS;
    const operations = mergeOperations(before, added, TABLE_OPERATIONS_BYTES_MAX);
    const trims = withTrims(held.model === "table" ? held.trims : NO_TRIMS, delta.trims);
    held = { model: "table", lastNumber: delta.lastNumber, operations, trims };
    heldVersion = version;
    heldDigest = next.digest;
    loose = loose.filter((decision) => decision.version > version);
  }
  if (loose === register.loose && heldVersion === register.heldVersion) return { register, rows };
  return { register: { ...register, loose, heldVersion, heldDigest, held }, rows };
}

/** With a change that is known to be decided: others of its version are not. */
function withDecided(loose: readonly Decision[], decided: Decision): readonly Decision[] {
  const others = loose.filter(({ version }) => version !== decided.version);
  return insertLoose(others, decided);
}

/**
 * Of the loose changes above what is held the one that is proved to be decided: it is the known version, the
 * one just learned, or the base of any that was proposed after it. Others may lie beside it, and have lost.
 */
function provedNext(
  loose: readonly Decision[],
  at: {
    known: Known;
    added: Decision | undefined;
    heldVersion: number;
    heldDigest: number;
  },
): Decision | undefined {
  if (loose.length === 0) return undefined;
  const next = loose.filter((decision) => {
    if (decision.version !== at.heldVersion + 1 || decision.model !== "table") return false;
    return decision.baseDigest === at.heldDigest || planted("base-digest-unchecked");
  });
  const isBase = ({ version, digest }: Decision) =>
    loose.some(
      (later) =>
        later.version === version + 1 && later.model === "table" && later.baseDigest === digest,
    );
  const proved = next.find(
    (decision) =>
      decision.digest === at.added?.digest ||
      decision.digest === at.known.digest ||
      isBase(decision),
  );
  return proved ?? (planted("base-digest-unchecked") ? next[0] : undefined);
}

function stamp(row: RowWrite, version: number): StampedRow {
  return { row: row.row, value: row.value, deleted: row.deleted, version };
}
