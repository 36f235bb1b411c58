/** The operator's account may do what its role says, and nothing else, asked of the real API server. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import {
  cluster,
  kubectl,
  NAMESPACE,
  RELEASE,
  tryKubectl,
  wholePlatform,
} from "./testing/cluster.ts";
import { tryRun } from "./testing/run.ts";

const ACCOUNT = `${RELEASE}-operator`;
const FILES = join(import.meta.dirname, "../../charts/tricampus/files");
const own = join(cluster.configHome, "..", "operator.kubeconfig");

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

beforeAll(async () => {
  await wholePlatform();
  const config = JSON.parse(await kubectl("config", "view", "--raw", "-o", "json"));
  const token = (await kubectl("create", "token", ACCOUNT)).trim();
  const user = { name: "operator", user: { token } };
  const context = { cluster: cluster.context, user: "operator" };
  const contexts = [{ name: "operator", context }];
  const text = { ...config, users: [user], contexts, "current-context": "operator" };
  writeFileSync(own, JSON.stringify(text), { mode: 0o600 });
});
afterAll(() => rmSync(own, { force: true }));

const asOperator = (...args: string[]) => tryRun("kubectl", ["--kubeconfig", own, ...args]);

/** "apps deployments create", one line each. */
function lines(rules: readonly Rule[]): string[] {
  const all = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${group} ${resource} ${verb}`)),
    ),
  );
  return [...new Set(all)].toSorted();
}

async function granted(namespace: string): Promise<string[]> {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    spec: { namespace },
  };
  const args = ["--kubeconfig", own, "create", "--validate=false", "-f", "-", "-o", "json"];
  const { stdout } = await tryRun("kubectl", args, { input: JSON.stringify(review) });
  const { resourceRules } = JSON.parse(stdout).status as { resourceRules: Rule[] };
  // What everybody may do: ask what he may.
  const reviews = new Set(["authorization.k8s.io", "authentication.k8s.io"]);
  return lines(resourceRules.filter(({ apiGroups }) => !apiGroups.some((one) => reviews.has(one))));
}

const inFile = (name: string) => lines(parse(readFileSync(join(FILES, name), "utf8")) as Rule[]);

test("in its namespace it has its two roles' rights, elsewhere it sees nodes", async () => {
  const nodes = inFile("cluster-role.yaml");
  expect(await granted(NAMESPACE)).toEqual([...inFile("role.yaml"), ...nodes].toSorted());
  expect(await granted("kube-system")).toEqual(nodes);
});

test.each([
  ["secrets cannot be listed", ["get", "secrets", "-n", NAMESPACE]],
  ["pods elsewhere cannot be seen", ["get", "pods", "-n", "kube-system"]],
  ["secrets elsewhere cannot be read", ["get", "secret", "x", "-n", "kube-system"]],
  ["nodes cannot be changed", ["label", "node", "--all", "x=y"]],
  ["nobody's pod can be entered", ["exec", "-n", NAMESPACE, "any", "--", "true"]],
  ["no pod can be made", ["run", "x", "--image=x", "-n", NAMESPACE]],
  ["its own role cannot be changed", ["delete", "role", ACCOUNT, "-n", NAMESPACE]],
  ["DataCenters cannot be removed", ["delete", "datacenter", "main", "-n", NAMESPACE]],
  ["definitions cannot be changed", ["delete", "crd", "campuses.tricampus.dev"]],
])("%s", async (_, args) => {
  const { code, stderr } = await asOperator(...args);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/forbidden/i);
});

test("pods of the platform have no token of any account", async () => {
  const selector = "app.kubernetes.io/name=tricampus";
  const volumes = "jsonpath={.items[*].spec.volumes[*].projected}";
  expect(await kubectl("get", "pods", "-l", selector, "-o", volumes)).toBe("");
});

test("a pod that asks for more than restricted rights is not let in", async () => {
  const { code, stderr } = await tryKubectl(["run", "root", "--image=x", "--privileged"]);
  expect(code).not.toBe(0);
  expect(stderr).toContain("violates PodSecurity");
});
