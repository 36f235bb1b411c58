/** What a failed test leaves in its output, for whoever cannot look into the cluster any more. */
import { loadavg } from "node:os";
import { onTestFailed } from "vitest";
import { tryKubectl } from "./cluster.ts";

const EVENTS_MAX = 40;
const POD_LINES_MAX = 8;
const OPERATOR_LINES_MAX = 80;
const CHARS_MAX = 60_000;
const SHORT = "--request-timeout=10s";

/** Call it first in a test. */
export function tracesWhenFailed(): void {
  onTestFailed(async () => {
    // Others that want the machine make everything late: that is looked at first.
    const load = loadavg().map((one) => one.toFixed(1));
    const [events, operator, pods] = await Promise.all([
      tryKubectl(["get", "events", ...ABOUT_DATA_CENTER, "--sort-by=.lastTimestamp", SHORT]),
      logs("app.kubernetes.io/name=tricampus-operator", OPERATOR_LINES_MAX),
      logs("app.kubernetes.io/managed-by=tricampus-operator", POD_LINES_MAX),
    ]);
    const shown = [
      `load average: ${load.join(" ")}`,
      `events of the DataCenter:\n${newestLines(events.stdout + events.stderr)}`,
      `the operator's logs:\n${newest(operator)}`,
      `pods' logs:\n${newest(pods)}`,
    ];
    process.stderr.write(`${shown.join("\n")}\n`);
  });
}

const ABOUT_DATA_CENTER = ["--field-selector", "involvedObject.kind=DataCenter"];

/** The last lines of every container, each after its name. */
async function logs(selector: string, lines: number): Promise<string> {
  const all = ["--all-containers", "--prefix", "--ignore-errors", `--tail=${lines}`];
  const { stdout, stderr } = await tryKubectl(["logs", "--selector", selector, ...all, SHORT]);
  return stdout + stderr;
}

function newest(text: string): string {
  return text.slice(-CHARS_MAX);
}

function newestLines(text: string): string {
  return newest(text.split("\n").slice(-EVENTS_MAX).join("\n"));
}
