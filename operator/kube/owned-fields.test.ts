import { expect, test } from "vitest";
import { NO_DIGEST } from "./digest.ts";
import type { KubeObject } from "./object.ts";
import { digestOf, ownedDigest } from "./owned-fields.ts";

const WANTED: KubeObject = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "x", namespace: "n", labels: { app: "x" } },
  spec: {
    replicas: 2,
    template: { spec: { containers: [{ name: "main", image: "one", args: ["a", "b"] }] } },
  },
};

const FIELDS = {
  "f:metadata": { "f:labels": { "f:app": {} } },
  "f:spec": {
    "f:replicas": {},
    "f:template": {
      "f:spec": {
        "f:containers": {
          'k:{"name":"main"}': { ".": {}, "f:name": {}, "f:image": {}, "f:args": {} },
        },
      },
    },
  },
};

/** As the server has it: with defaults, other managers' fields and another one's container. */
function stored(change: (object: KubeObject) => void = () => {}): KubeObject {
  const object = structuredClone({
    ...WANTED,
    metadata: {
      ...WANTED.metadata,
      uid: "u",
      resourceVersion: "7",
      labels: { app: "x", other: "y" },
      managedFields: [
        { manager: "tricampus", operation: "Apply", fieldsV1: FIELDS },
        { manager: "tricampus", operation: "Apply", subresource: "status", fieldsV1: {} },
        { manager: "injector", operation: "Update", fieldsV1: {} },
      ],
    },
    spec: {
      replicas: 2,
      paused: false,
      template: {
        spec: {
          containers: [
            { name: "sidecar", image: "other" },
            { name: "main", image: "one", args: ["a", "b"], imagePullPolicy: "Always" },
          ],
        },
      },
    },
    status: { replicas: 1 },
  });
  change(object);
  return object;
}

const spec = (object: KubeObject) => object.spec as Record<string, never>;

test("owned fields: what is ours and as wanted has the digest of what is wanted", () => {
  expect(ownedDigest(stored(), "tricampus")).toBe(digestOf(WANTED));
});

test("owned fields: a foreign change of ours is seen, one of others' fields is not", () => {
  const digest = digestOf(WANTED);
  const after = (change: (object: KubeObject) => void) => ownedDigest(stored(change), "tricampus");
  expect(after((o) => Object.assign(spec(o), { paused: true }))).toBe(digest);
  expect(after((o) => Object.assign(o.metadata.labels!, { other: "z" }))).toBe(digest);
  expect(after((o) => Object.assign(spec(o), { replicas: 3 }))).not.toBe(digest);
  expect(after((o) => Object.assign(o.metadata.labels!, { app: "z" }))).not.toBe(digest);
});

test("owned fields: a field that somebody took from us is seen", () => {
  const taken = stored((object) => {
    const fields = object.metadata.managedFields![0]!.fieldsV1 as typeof FIELDS;
    delete (fields["f:spec"] as Partial<(typeof FIELDS)["f:spec"]>)["f:replicas"];
  });
  expect(ownedDigest(taken, "tricampus")).not.toBe(digestOf(WANTED));
});

test("owned fields: an object that we never applied has none", () => {
  expect(ownedDigest(stored(), "somebody")).toBe(NO_DIGEST);
});
