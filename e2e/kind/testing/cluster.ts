/** The cluster and the platform in it, as tests act on them and look at them. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { KubeObject } from "../../../operator/kube/object.ts";
import { rest } from "../../../services/svrkit/rest.ts";
import { type Ran, type RunOptions, run, tryRun } from "./run.ts";

export const cluster = inject("cluster");
export const NAMESPACE = "tricampus";
export const RELEASE = "tricampus";
export const CAMPUSES = ["a", "b", "c"] as const;

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const CHART = join(ROOT, "charts/tricampus");
export const CLI = join(ROOT, "cli/main.ts");
const POLL_MS = 700;

export function kubectl(...args: readonly string[]): Promise<string> {
  return run("kubectl", kubectlArgs(args));
}

export function tryKubectl(args: readonly string[], options?: RunOptions): Promise<Ran> {
  return tryRun("kubectl", kubectlArgs(args), options);
}

function kubectlArgs(args: readonly string[]): string[] {
  return ["--kubeconfig", cluster.kubeconfig, "--namespace", NAMESPACE, ...args];
}

export async function get<T extends KubeObject>(kind: string, name: string): Promise<T> {
  return JSON.parse(await kubectl("get", kind, name, "-o", "json")) as T;
}

/** All of a kind, with a selector or without. */
export async function list(kind: string, selector = ""): Promise<KubeObject[]> {
  const json = await kubectl("get", kind, "-l", selector, "-o", "json");
  return (JSON.parse(json) as { items: KubeObject[] }).items;
}

export function helm(...args: readonly string[]): Promise<string> {
  return run("helm", helmArgs(args), { timeoutMs: 300_000 });
}

export function tryHelm(...args: readonly string[]): Promise<Ran> {
  return tryRun("helm", helmArgs(args), { timeoutMs: 300_000 });
}

function helmArgs(args: readonly string[]): string[] {
  return ["--kubeconfig", cluster.kubeconfig, "--namespace", NAMESPACE, ...args];
}

/** `tricampus` as a person runs it outside the cluster. */
export function tryTricampus(...args: readonly string[]): Promise<Ran> {
  return tryRun(process.execPath, tricampusArgs(args), { env: tricampusEnv() });
}

/** What it printed; throws when its exit code is not 0. */
export async function tricampus(...args: readonly string[]): Promise<string> {
  return run(process.execPath, tricampusArgs(args), { env: tricampusEnv() });
}

export function tricampusArgs(args: readonly string[]): string[] {
  const { context } = cluster;
  return [CLI, "--context", context, "--namespace", NAMESPACE, ...args];
}

export function tricampusEnv(): NodeJS.ProcessEnv {
  const { kubeconfig, configHome } = cluster;
  return { KUBECONFIG: kubeconfig, XDG_CONFIG_HOME: configHome };
}

/** Resolves as soon as it holds, with the milliseconds that took. An error while looking is no end. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 180_000,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    let seen = "";
    try {
      if (await holds()) return performance.now() - startMs;
    } catch (error) {
      seen = `; ${(error as Error).message}`;
    }
    if (performance.now() - startMs > timeoutMs)
      throw new Error(`not within ${timeoutMs / 1_000} s: ${what}${seen}\n${await situation()}`);
    await rest(POLL_MS);
  }
}

/** A figure for people: what a test asserts is far from it, since machines are busy. */
export function measured(text: string): void {
  process.stderr.write(`measured: ${text}\n`);
}

/** "12.3 s" */
export function secondsOf(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** For whoever reads why a test failed. */
async function situation(): Promise<string> {
  const kinds = "nodes,datacenters,campuses,kvgroups,pods";
  const [shown, conditions, events] = await Promise.all([
    tryKubectl(["get", kinds, "-o", "wide", "--request-timeout=10s"]),
    tryKubectl(["get", "datacenters,kvgroups", "-o", CONDITIONS, "--request-timeout=10s"]),
    tryKubectl(["get", "events", "--sort-by=.lastTimestamp", "--request-timeout=10s"]),
  ]);
  const newest = events.stdout.split("\n").slice(-25).join("\n");
  return `${shown.stdout}${shown.stderr}\n${conditions.stdout}\n${newest}`;
}

const CONDITIONS =
  'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{range .status.conditions[*]}  ' +
  '{.type}={.status} {.reason}: {.message}{"\\n"}{end}{end}';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Undefined when it is not there, or is of an earlier generation. */
export async function condition(
  kind: string,
  name: string,
  type: string,
): Promise<Condition | undefined> {
  const { metadata, status } = await get(kind, name);
  const { conditions = [] } = (status ?? {}) as { conditions?: Condition[] };
  return conditions.find(
    (one) => one.type === type && one.observedGeneration === metadata.generation,
  );
}

/** Everything serves, is caught up, and nothing is under way. Installs what is not there. */
export async function wholePlatform(timeoutMs?: number): Promise<void> {
  const there = await tryKubectl(["get", "datacenter", "main"]);
  if (there.code !== 0) await install();
  await until("the platform is whole", isWhole, timeoutMs);
}

export async function isWhole(): Promise<boolean> {
  const [ready, progressing, group] = await Promise.all([
    condition("datacenter", "main", "Ready"),
    condition("datacenter", "main", "Progressing"),
    get("kvgroup", "main-1"),
  ]);
  return ready?.status === "True" && progressing?.status === "False" && zonesOf(group) === ALL_WELL;
}

export const ALL_WELL = "a=ok b=ok c=ok";

export function zonesOf({ status }: KubeObject): string {
  return String((status as { zones?: string } | undefined)?.zones ?? "");
}

/** Passwords that cost little, so that a crowd registers in seconds. */
const VALUES = {
  "dataCenter.spec.services[0].name": "logic",
  "dataCenter.spec.services[0].options.account.passwordMemoryKib": "8",
  "dataCenter.spec.services[0].options.account.passwordPasses": "1",
};

/** `helm upgrade --install` of the image's first tag, or of another one. */
export async function install(tag = cluster.tags[0], values: Record<string, string> = {}) {
  await makeNamespace();
  const image = { "image.repository": cluster.repository, "image.tag": tag };
  const all = Object.entries({ ...image, ...VALUES, ...values });
  const set = all.flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  await helm("upgrade", "--install", RELEASE, CHART, ...set);
}

/** What is not restricted is not let in. */
async function makeNamespace(): Promise<void> {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  const metadata = { name: NAMESPACE, labels };
  const input = JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata });
  const { code, stderr } = await tryKubectl(["apply", "-f", "-"], { input });
  if (code !== 0) throw new Error(stderr);
}

/** The node that is a campus's whole zone here. */
export async function nodeOf(campus: string): Promise<string> {
  const label = `topology.kubernetes.io/zone=campus-${campus}`;
  return (await kubectl("get", "node", "-l", label, "-o", "name")).trim().replace("node/", "");
}

export async function docker(...args: readonly string[]): Promise<string> {
  return run("docker", args);
}
