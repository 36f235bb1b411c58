/** Network policies, judged as Kubernetes does: what any policy of a pod allows is allowed, all else is not. */
import { expect, test } from "vitest";
import { kvWorkloadOf, statelessWorkloads } from "../plan/workloads.ts";
import { sampleGroup, sampleInputs } from "../testing/samples.ts";
import { networkPolicies } from "./network-policy.ts";
import { labelsOf } from "./site.ts";

interface Peer {
  podSelector: { matchLabels: Record<string, string> };
}
interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports: { port: number }[];
}
interface Spec {
  podSelector: { matchLabels: Record<string, string> };
  policyTypes: string[];
  ingress?: Rule[];
  egress?: Rule[];
}
type Labels = Readonly<Record<string, string>>;

const { site } = sampleInputs("test");
const policies = networkPolicies(site, [
  { name: "clients", workload: "access", port: 7100 },
  { name: "admin-door", workload: "admin", port: 7110 },
]).map(({ spec }) => spec as unknown as Spec);

const matches = ({ podSelector }: Peer, labels: Labels) =>
  Object.entries(podSelector.matchLabels).every(([name, value]) => labels[name] === value);

function allows(
  way: "Ingress" | "Egress",
  pod: Labels,
  { peer, port }: { peer: Labels; port: number },
): boolean {
  const own = policies.filter((one) => matches(one, pod) && one.policyTypes.includes(way));
  if (own.length === 0) return true;
  return own.some((one) =>
    (one[way === "Ingress" ? "ingress" : "egress"] ?? []).some((rule) => {
      const peers = rule[way === "Ingress" ? "from" : "to"];
      const isPeer = peers === undefined || peers.some((selector) => matches(selector, peer));
      return isPeer && rule.ports.some((one) => one.port === port);
    }),
  );
}

const OUTSIDE: Labels = {};
const OPERATOR: Labels = { "app.kubernetes.io/name": "tricampus-operator" };
const OTHER = labelsOf({ name: "other" }, "logic", "a");
const workloads = [kvWorkloadOf(site.spec, sampleGroup()), ...statelessWorkloads(site.spec)];
const podsOf = workloads.map(({ name }) => [name, labelsOf(site, name, "a")] as const);

test("network policy: pods of a data centre reach each other's doors, and nothing else", () => {
  for (const [from, a] of podsOf) {
    for (const [to, b] of podsOf) {
      for (const port of [7101, 7102]) {
        const isOpen =
          allows("Egress", a, { peer: b, port }) && allows("Ingress", b, { peer: a, port });
        expect(isOpen, `${from} to ${to}:${port}`).toBe(true);
      }
    }
    expect(allows("Egress", a, { peer: OUTSIDE, port: 443 }), `${from} to the outside`).toBe(false);
    expect(allows("Egress", a, { peer: OTHER, port: 7101 }), `${from} to others`).toBe(false);
  }
});

test("network policy: the operator asks every pod; other data centres and strangers reach no door", () => {
  for (const [name, pod] of podsOf) {
    expect(allows("Ingress", pod, { peer: OPERATOR, port: 7101 }), name).toBe(true);
    for (const peer of [OTHER, OUTSIDE])
      for (const port of [7101, 7102])
        expect(allows("Ingress", pod, { peer, port }), name).toBe(false);
    expect(allows("Ingress", pod, { peer: OUTSIDE, port: 7199 }), name).toBe(true);
  }
});

test("network policy: people come in at the clients' and the admin door, and at no other pod", () => {
  for (const [name, pod] of podsOf) {
    expect(allows("Ingress", pod, { peer: OUTSIDE, port: 7100 }), name).toBe(name === "access");
    expect(allows("Ingress", pod, { peer: OUTSIDE, port: 7110 }), name).toBe(name === "admin");
  }
});
