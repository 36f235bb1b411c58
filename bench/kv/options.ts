/** What the command line of bench/kv.ts asks for. */
import { parseArgs } from "node:util";

/** In the order in which they run. */
const PHASES = ["put256", "put1000", "get256", "change", "wideChange", "failover"] as const;

export type PhaseName = (typeof PHASES)[number];

export interface Options {
  /** Measured seconds of every phase, and what comes before them. */
  readonly seconds: number;
  readonly warmUpMs: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly phases: readonly PhaseName[];
  readonly withEtcd: boolean;
  /** Where both stores' data lie: on the same disk. Default: a new folder among the temporary ones. */
  readonly dir: string | undefined;
}

export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "10" },
      "warm-up": { type: "string", default: "2" },
      keys: { type: "string", default: "100000" },
      bytes: { type: "string", default: "256" },
      phases: { type: "string", default: PHASES.join(",") },
      dir: { type: "string" },
      "without-etcd": { type: "boolean", default: false },
    },
  });
  return {
    seconds: positive("seconds", values.seconds),
    warmUpMs: positive("warm-up", values["warm-up"]) * 1_000,
    keys: positive("keys", values.keys),
    valueBytes: positive("bytes", values.bytes),
    phases: values.phases.split(",").map(phaseNamed),
    withEtcd: !values["without-etcd"],
    dir: values.dir,
  };
}

function phaseNamed(text: string): PhaseName {
  const phase = PHASES.find((name) => name === text);
  if (phase !== undefined) return phase;
  throw new Error(`no phase "${text}"; there are ${PHASES.join(", ")}`);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${name} "${text}": a number above 0 is needed`);
}
