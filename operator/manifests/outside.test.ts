import { expect, test } from "vitest";
import { sampleInputs } from "../testing/samples.ts";
import { outsideService } from "./outside.ts";

test.each([
  ["LoadBalancer", "Local"],
  ["NodePort", undefined],
  ["ClusterIP", undefined],
])("outside: a %s leaves people the address they come from where it can (%s)", (type, policy) => {
  const { site } = sampleInputs("test", { clients: { type }, admin: { type } });
  for (const door of ["clients", "admin"] as const) {
    const { spec } = outsideService(site, door, { campus: "a", workload: "access" });
    expect((spec as { externalTrafficPolicy?: string }).externalTrafficPolicy).toBe(policy);
  }
});
