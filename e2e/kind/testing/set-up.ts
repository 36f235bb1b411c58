/**
 * Before all tests of clusters: a kind cluster of three zones, the image in its nodes, and the chart
 * installed. Afterwards nothing of it is left. With KEEP=1 the cluster is called "tricampus", stays, and
 * is taken over by the next run.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { run, tryRun } from "./run.ts";

/** What tests are told of the cluster. */
export interface ClusterFacts {
  readonly name: string;
  /** The kubectl context. */
  readonly context: string;
  readonly kubeconfig: string;
  /** Where the command line keeps what it remembers. */
  readonly configHome: string;
  readonly repository: string;
  /** Two tags of the image: what is installed, and what it is upgraded to. */
  readonly tags: readonly [string, string];
  /** From `helm install` until the first message was delivered is counted from here: monotonic milliseconds. */
  readonly startedAtMs: number;
}

declare module "vitest" {
  interface ProvidedContext {
    cluster: ClusterFacts;
  }
}

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CAMPUSES = ["a", "b", "c"] as const;
/** What a DataCenter's engines are by default, when they are not embedded. */
const ENGINES = ["nats:2.14-alpine", "redis:7"];
const CREATE_MS = 300_000;
const BUILD_MS = 900_000;

export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  await requirePrograms();
  const isKept = process.env.KEEP === "1";
  const id = randomBytes(3).toString("hex");
  const name = isKept ? "tricampus" : `tricampus-e2e-${id}`;
  const workDir = isKept
    ? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tricampus-e2e")
    : mkdtempSync(join(tmpdir(), "tricampus-kind-"));
  mkdirSync(workDir, { recursive: true });
  const facts: ClusterFacts = {
    name,
    context: `kind-${name}`,
    kubeconfig: join(workDir, "kubeconfig"),
    configHome: join(workDir, "config"),
    repository: "tricampus",
    tags: [`e2e-${id}-1`, `e2e-${id}-2`],
    startedAtMs: performance.now(),
  };
  const images = facts.tags.map((tag) => `${facts.repository}:${tag}`);
  const clean = async () => {
    if (isKept) return say(`the cluster stays: export KUBECONFIG=${facts.kubeconfig}`);
    await tryRun("kind", ["delete", "cluster", "--name", name]);
    await tryRun("docker", ["image", "rm", ...images]);
    rmSync(workDir, { recursive: true, force: true });
  };
  try {
    // The nodes start on one core while the other one builds.
    await Promise.all([makeCluster(facts), buildImages(images)]);
    const loaded = [...images, ...(await there(ENGINES))];
    await timed("the images are in the nodes", () =>
      run("kind", ["load", "docker-image", ...loaded, "--name", name], { timeoutMs: BUILD_MS }),
    );
    await labelZones(facts);
  } catch (error) {
    await clean();
    throw error;
  }
  provide("cluster", facts);
  return clean;
}

async function requirePrograms(): Promise<void> {
  for (const [program, ...args] of [
    ["docker", "version"],
    ["kind", "version"],
    ["kubectl", "version", "--client"],
    ["helm", "version"],
  ] as const) {
    const { code, stderr } = await tryRun(program, args);
    if (code === 0) continue;
    const why = stderr.trim().split("\n").at(-1) ?? "";
    throw new Error(
      `the tests in kind need docker, kind, kubectl and helm, and ${program} does not work (${why}); ` +
        "`make e2e-processes` runs all others",
    );
  }
}

/** Those that this machine has; nodes get others from where they come from. */
async function there(images: readonly string[]): Promise<string[]> {
  const looked = images.map(async (image) => {
    const { code } = await tryRun("docker", ["image", "inspect", image]);
    return code === 0 ? [image] : [];
  });
  return (await Promise.all(looked)).flat();
}

async function makeCluster({ name, kubeconfig }: ClusterFacts): Promise<void> {
  const there = (await run("kind", ["get", "clusters"])).split("\n");
  if (there.includes(name)) {
    await run("kind", ["export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig]);
    return;
  }
  const nodes = ["role: control-plane", ...CAMPUSES.map(() => "role: worker")];
  const config = [
    "kind: Cluster",
    "apiVersion: kind.x-k8s.io/v1alpha4",
    "nodes:",
    ...nodes.map((node) => `  - ${node}`),
  ].join("\n");
  const image = process.env.KIND_NODE_IMAGE;
  const args = ["create", "cluster", "--name", name, "--kubeconfig", kubeconfig];
  const more = ["--config", "-", "--wait", "180s", ...(image ? ["--image", image] : [])];
  await timed("the cluster is up", () =>
    run("kind", [...args, ...more], { input: config, timeoutMs: CREATE_MS }),
  );
}

/** One image under two names: to kubelets they are two, and what changes is what is replaced. */
async function buildImages([first, second]: readonly string[]): Promise<void> {
  const flags = (process.env.DOCKER_BUILD_FLAGS ?? "").split(" ").filter((flag) => flag !== "");
  await timed("the image is built", () =>
    run("docker", ["build", ...flags, "-t", first!, ROOT], { timeoutMs: BUILD_MS }),
  );
  await run("docker", ["tag", first!, second!]);
}

/** Workers in the order of their names: campus-a, campus-b, campus-c. */
async function labelZones({ name, kubeconfig }: ClusterFacts): Promise<void> {
  const all = (await run("kind", ["get", "nodes", "--name", name])).split("\n");
  const workers = all.filter((node) => node.includes("-worker")).toSorted();
  for (const [i, campus] of CAMPUSES.entries()) {
    const label = `topology.kubernetes.io/zone=campus-${campus}`;
    const args = ["label", "node", workers[i]!, label, "--overwrite"];
    await run("kubectl", ["--kubeconfig", kubeconfig, ...args]);
  }
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await work();
  say(`${what} (${Math.round((performance.now() - startMs) / 1_000)} s)`);
}

function say(text: string): void {
  process.stderr.write(`kind: ${text}\n`);
}
