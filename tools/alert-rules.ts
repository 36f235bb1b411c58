/**
 * Writes the chart's alert rules from the reasons that conditions give: one for each that needs a person,
 * with the section of docs/runbook.md that says what to do. With --check nothing is written.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { REASONS, type Reason } from "../operator/plan/reasons.ts";

const ROOT = join(import.meta.dirname, "..");
const FILE = "charts/tricampus/files/alerts.yaml";
const HEAD = "# Generated from operator/plan/reasons.ts by `make gen`.\n";

interface Alert {
  /** page: now, somebody's sleep is worth it. ticket: within the day. */
  readonly severity: "page" | "ticket";
  /** How long it has to be so. */
  readonly after: string;
}

const page = (after: string): Alert => ({ severity: "page", after });
const ticket = (after: string): Alert => ({ severity: "ticket", after });

/** Reasons that are here are no part of a good day. */
const ALERTS: Partial<Record<Reason, Alert>> = {
  QuorumLost: page("30s"),
  PodsMissing: ticket("10m"),
  ReplicaDown: page("5m"),
  ReplicaUnready: ticket("15m"),
  ReplicaPending: ticket("10m"),
  VolumeMissing: page("1m"),
  RolloutStalled: ticket("5m"),
  ObjectRefused: ticket("5m"),
  EvictionRefused: ticket("15m"),
  PlanRefused: page("1m"),
  ReplaceWaits: ticket("10m"),
  ZoneMissing: page("10m"),
  TableUnreachable: page("1m"),
  CertificatesAgeing: page("1h"),
  TwoCannotCarry: ticket("1h"),
  Misplaced: ticket("10m"),
  DataCenterMissing: ticket("10m"),
  GroupMissing: ticket("10m"),
  NumberTaken: ticket("10m"),
  CampusMissing: ticket("10m"),
  ZoneMismatch: ticket("10m"),
  LimitsRefused: ticket("10m"),
};

/** What is said of the operators themselves, by no condition of any object. */
const OWN = [
  {
    alert: "TricampusOperatorMissing",
    expr: "absent(tricampus_operator_acting == 1)",
    for: "2m",
    labels: { severity: "page" },
    annotations: {
      summary: "No operator acts: nothing is repaired or rolled; the platform itself goes on.",
      runbook: "docs/runbook.md#no-operator-acts",
    },
  },
  {
    alert: "TricampusOperatorBlind",
    expr: "max by (pod, kind) (tricampus_operator_watch_age_seconds) > 60",
    for: "2m",
    labels: { severity: "ticket" },
    annotations: {
      summary: "An operator has not heard of {{ $labels.kind }} for {{ $value }} s.",
      runbook: "docs/runbook.md#no-operator-acts",
    },
  },
];

export function alertRules() {
  const entries = Object.entries(ALERTS) as [Reason, Alert][];
  const rules = entries.map(([reason, { severity, after }]) => ({
    alert: `Tricampus${reason}`,
    expr: `max by (namespace, data_center, kind, name) (tricampus_condition{reason="${reason}"}) == 1`,
    for: after,
    labels: { severity },
    annotations: {
      summary: `{{ $labels.kind }} {{ $labels.name }}: ${REASONS[reason]}.`,
      runbook: `docs/runbook.md#${reason.toLowerCase()}`,
    },
  }));
  return [{ name: "tricampus", rules: [...rules, ...OWN] }];
}

function main(): void {
  const text = HEAD + stringify(alertRules(), { lineWidth: 0 });
  const path = join(ROOT, FILE);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
    return;
  }
  if (readFileSync(path, "utf8") === text) return;
  console.log(`${FILE}: stale; run \`make gen\``);
  process.exitCode = 1;
}

if (import.meta.main) main();
