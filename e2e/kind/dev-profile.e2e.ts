/**
 * The profile for small machines, with what needs most around it: NATS and Redis beside the services, and
 * clients that connect with TLS. In a namespace and a release of its own, when the platform is gone.
 */
import { afterAll, expect, test } from "vitest";
import { CHART, CLI, cluster, get, helm, RELEASE, tricampusEnv, until } from "./testing/cluster.ts";
import { run, tryRun } from "./testing/run.ts";

const SPACE = "tricampus-dev";
const DEV = "dev";

const dev = (program: "kubectl" | "helm", ...args: readonly string[]) =>
  run(program, ["--kubeconfig", cluster.kubeconfig, "--namespace", SPACE, ...args], {
    timeoutMs: 300_000,
  });

afterAll(async () => {
  await tryRun("helm", ["--kubeconfig", cluster.kubeconfig, "-n", SPACE, "uninstall", DEV]);
  await tryRun("kubectl", ["--kubeconfig", cluster.kubeconfig, "delete", "namespace", SPACE]);
});

interface Pod {
  metadata: { name: string };
  spec: { initContainers?: { name: string }[]; nodeName: string };
}

const pods = async () => {
  const found = await dev("kubectl", "get", "pods", "-l", "tricampus.dev/campus", "-o", "json");
  return (JSON.parse(found) as { items: Pod[] }).items;
};

async function install(): Promise<void> {
  // A certificate of ours: what it says is nobody's business here.
  const { data } = await get("secret", "main-tls");
  const known = data as unknown as Record<string, string>;
  await helm("uninstall", RELEASE, "--wait", "--timeout", "3m");
  await dev("kubectl", "create", "namespace", SPACE);
  const enforce = "pod-security.kubernetes.io/enforce=restricted";
  await dev("kubectl", "label", "namespace", SPACE, enforce);
  const secret = {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "doors" }, type: "kubernetes.io/tls" },
    data: { "tls.crt": known["cli.crt"], "tls.key": known["cli.key"] },
  };
  await run("kubectl", ["--kubeconfig", cluster.kubeconfig, "-n", SPACE, "apply", "-f", "-"], {
    input: JSON.stringify(secret),
  });
  const values = {
    "image.repository": cluster.repository,
    "image.tag": cluster.tags[0],
    dev: "true",
    "dataCenter.spec.engines.queue.kind": "Nats",
    "dataCenter.spec.engines.router.kind": "Redis",
    "dataCenter.spec.clients.tls.secretName": "doors",
  };
  const set = Object.entries(values).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  await dev("helm", "install", DEV, CHART, ...set);
}

test("everything of a campus is in one pod, all in one zone, and messages go through each of them", async () => {
  await install();
  await until("the data centre is ready", async () => {
    const { status } = JSON.parse(await dev("kubectl", "get", "dc", "main", "-o", "json"));
    const conditions: { type: string; status: string }[] = status?.conditions ?? [];
    return conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
  });
  const all = await pods();
  expect(all.map(({ metadata }) => metadata.name).toSorted()).toEqual([
    "main-kvsvr-1-a-0",
    "main-kvsvr-1-b-0",
    "main-kvsvr-1-c-0",
  ]);
  expect(new Set(all.map(({ spec }) => spec.nodeName)).size).toBe(1);
  for (const { spec } of all)
    expect(spec.initContainers!.map(({ name }) => name)).toEqual(["nats", "redis"]);
  await dev("helm", "test", DEV);
  // Messages of groups go through the queue, and arrive while people are online by the router.
  const load = ["load", "group", "--seconds", "8", "--factor", "0.02"];
  const args = [CLI, "--context", cluster.context, "--namespace", SPACE, ...load];
  const env = { ...tricampusEnv(), NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  expect(await run(process.execPath, args, { env })).toContain("The ledger is clean.");
});
