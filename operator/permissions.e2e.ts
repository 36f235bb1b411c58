/**
 * The chart's roles allow what an operator asks for in a life with everything in it, and no more. With
 * REWRITE=1 they are written from that.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ApiRequest } from "./kube/api-client.ts";
import { labelsOf } from "./manifests/site.ts";
import { type Rule, rulesFor } from "./testing/permissions.ts";
import { Rig } from "./testing/rig.ts";
import { sampleDataCenter, sampleGroup } from "./testing/samples.ts";

const FILES = join(import.meta.dirname, "../charts/tricampus/files");
const HEAD = "# Generated from the calls that the operator makes: operator/permissions.e2e.ts.\n";

test("permissions: the roles are what the operator asks for, no more and no less", async () => {
  const requests: ApiRequest[] = [];
  const rig = await Rig.open();
  try {
    const client = rig.newClient();
    client.onRequest = (request) => requests.push(request);
    const operator = await rig.startOperator({ client });
    await wholeLife(rig);
    await rig.stopOperator(operator); // the Lease is given back
  } finally {
    await rig.close();
  }
  const { role, clusterRole } = rulesFor(requests);
  expectFile("role.yaml", role);
  expectFile("cluster-role.yaml", clusterRole);
});

async function wholeLife(rig: Rig): Promise<void> {
  rig.install();
  await rig.settled();
  // What an earlier version had and this one has not.
  const template = { metadata: { annotations: {} } };
  const spec = { replicas: 0, strategy: { type: "Recreate" }, template };
  rig.write("Deployment", "main-old-a", spec, labelsOf({ name: "main" }, "old", "a"));
  await rig.until("it is gone", () => !rig.names("Deployment").includes("main-old-a"));
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.settled();
  const replace = { campus: "b", act: "once", reason: "its node is gone" };
  rig.write("KVGroup", "main-1", sampleGroup(1, { replace }));
  const phase = () =>
    rig.status<{ replaced?: { phase: string } }>("KVGroup", "main-1").replaced?.phase;
  await rig.until("a new disk", () => phase() === "Done");
  rig.write("KVGroup", "main-2", sampleGroup(2));
  await rig.until("two groups", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  rig.remove("KVGroup", "main-2");
  const isLeft = () => rig.names("StatefulSet").some((name) => name.includes("kvsvr-2"));
  await rig.until("its sets are gone", () => !isLeft());
  const withoutPolicies = { image: "tricampus:2", networkPolicies: "None" };
  rig.write("DataCenter", "main", sampleDataCenter(withoutPolicies));
  await rig.until("no policy is left", () => rig.names("NetworkPolicy").length === 0);
  // The same event twice is one that is counted.
  for (let n = 0; n < 2; n++) {
    rig.cluster.loseNode("node-b");
    const degraded = () => rig.condition("KVGroup", "main-1", "Degraded");
    await rig.until("degraded", () => degraded() === "True ReplicaDown");
    rig.cluster.bringNode("node-b");
    await rig.settled();
  }
}

function expectFile(name: string, rules: readonly Rule[]): void {
  const path = join(FILES, name);
  const text = HEAD + rules.map(textOf).join("");
  if (process.env.REWRITE === "1") writeFileSync(path, text);
  expect(
    readFileSync(path, "utf8"),
    `${name}: write them by REWRITE=1 vitest run --config e2e/vitest.config.ts operator/permissions`,
  ).toBe(text);
}

function textOf({ apiGroups, resources, verbs }: Rule): string {
  const list = (names: readonly string[]) => `[${names.map((one) => one || '""').join(", ")}]`;
  return [
    `- apiGroups: ${list(apiGroups)}`,
    `  resources: ${list(resources)}`,
    `  verbs: ${list(verbs)}\n`,
  ].join("\n");
}
