import { expect, test } from "vitest";
import type { Child } from "../plan/observed.ts";
import { Children } from "./children.ts";

const UID = "0d9f3c52-7a11-4e0e-9a55-00ff10203040";

function child(kind: string, name: string, more: Partial<Child> = {}): Child {
  return {
    resourceVersion: "7",
    kind,
    name,
    uid: UID,
    dataCenter: "main",
    workload: "logic",
    campus: "a",
    digest: 2 ** 52 + 1,
    isLeaving: false,
    template: "",
    isSettled: true,
    service: undefined,
    claim: undefined,
    ...more,
  };
}

const CLAIM = { storage: "1Gi", capacity: "2Gi", storagePolicy: "Retain", madeBy: "" };
const ALL: readonly Child[] = [
  child("Service", "main-logic-a", { service: { ip: "10.0.0.1", nodePort: 0, outside: "" } }),
  child("Service", "main-logic", { service: { ip: "", nodePort: 0, outside: "" }, campus: "" }),
  child("Service", "main-clients-a", {
    service: { ip: "10.0.0.2", nodePort: 30_001, outside: "x" },
  }),
  child("Deployment", "main-logic-a", { template: "0123456789", isSettled: false }),
  child("PersistentVolumeClaim", "main-logic-a", { claim: CLAIM, isLeaving: true }),
  child("ConfigMap", "main-addresses", { workload: "", campus: "" }),
  // Of another data centre whose name begins like the first one's, of no usual name, and of no usual server.
  child("Service", "main-2-logic-a", {
    dataCenter: "main-2",
    service: { ip: "10.0.0.3", nodePort: 0, outside: "" },
  }),
  child("ConfigMap", "logic-a", { resourceVersion: "a-b", uid: "sixteen-letters!" }),
  child("ConfigMap", "other-logic-a", { resourceVersion: "12345678901234567890", uid: "" }),
];

/** With its uid, which is read only when somebody asks for it. */
const whole = (found: Child | undefined) => found && { ...found, uid: found.uid };

function withAll(): Children {
  const children = new Children();
  for (const one of ALL) children.ofKind(one.kind).set(one.name, one);
  return children;
}

test("children: each is found as it was, by its name, its kind and its data centre", () => {
  const children = withAll();
  for (const one of ALL) {
    expect(whole(children.get(one.kind, one.name))).toEqual(one);
    expect(new Map(children.ofKind(one.kind)).get(one.name)?.uid).toBe(one.uid);
  }
  expect(children.of("main").map(({ name }) => name)).toHaveLength(8);
  expect(children.of("main-2").map(({ name }) => name)).toEqual(["main-2-logic-a"]);
  for (const name of ["logic", "main", "main-logic-b", "main-2", "other", "-logic-a"])
    expect(children.get("ConfigMap", name)).toBeUndefined();
});

test("children: one that is gone leaves all others as they were", () => {
  for (const gone of ALL) {
    const children = withAll();
    children.ofKind(gone.kind).delete(gone.name);
    children.ofKind(gone.kind).delete(gone.name);
    for (const one of ALL) {
      const found = children.get(one.kind, one.name);
      expect(whole(found)).toEqual(one === gone ? undefined : one);
    }
  }
});

test("children: one that changes is there once, also in another data centre", () => {
  const children = withAll();
  const services = children.ofKind("Service");
  const changed = child("Service", "main-logic-a", {
    digest: 3,
    isLeaving: true,
    service: ALL[0]!.service,
  });
  services.set(changed.name, changed);
  expect(whole(services.get(changed.name))).toEqual(changed);
  expect(children.of("main")).toHaveLength(8);
  for (const dataCenter of ["stolen", "main-2", "main"]) {
    const moved = { ...changed, dataCenter };
    services.set(moved.name, moved);
    expect(whole(services.get(moved.name))).toEqual(moved);
    expect([...services].filter(([name]) => name === moved.name)).toHaveLength(1);
  }
  expect(children.of("stolen")).toEqual([]);
});
