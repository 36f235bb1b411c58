/** Which changes of an object's conditions people are told as events. Pure. */
import type { Condition } from "../api/schema.ts";

export interface Told {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly note: string;
}

/** What a condition is when all is well. */
const WELL: Readonly<Record<string, Condition["status"]>> = {
  Ready: "True",
  QuorumAvailable: "True",
  HighlyAvailable: "True",
  CapacitySufficient: "True",
  Placed: "True",
  CertificatesFresh: "True",
  Degraded: "False",
};
/** Reasons that are worth a warning whatever the status. */
const WARNINGS = new Set([
  "PlanRefused",
  "ObjectRefused",
  "EvictionRefused",
  "BlockRefused",
  "OtherCampusBlocked",
  "ReplaceWaits",
  "RolloutStalled",
]);
/** In a beginning these are no news. */
const EXPECTED = new Set([
  ...["NotReadyYet", "NotMeasured", "Done", "NotBlocked", "TableUnreachable", "Bootstrapping"],
]);

export function eventsOf(
  before: readonly Condition[] | undefined,
  after: readonly Condition[],
): Told[] {
  return after.flatMap(({ type, status, reason, message }): Told[] => {
    const known = before?.find((condition) => condition.type === type);
    if (known?.status === status && known.reason === reason) return [];
    const well = WELL[type];
    const isWell = well === undefined || well === status;
    if (EXPECTED.has(reason) || (known === undefined && isWell)) return [];
    const isWarning = WARNINGS.has(reason) || (!isWell && status !== "Unknown");
    return [
      { type: isWarning ? "Warning" : "Normal", reason, note: `${type} is ${status}: ${message}` },
    ];
  });
}
