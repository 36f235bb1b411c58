/** Where pods may be, and what takes them and their volumes away. */
import { expect, test } from "vitest";
import { desiredOf } from "../plan/desired.ts";
import { sampleInputs } from "../testing/samples.ts";

function built(changes: object, kind: string, name: string) {
  const objects = desiredOf(sampleInputs("test", changes)).map(({ object }) => object);
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  return found!.spec as {
    template: { spec: { affinity: { nodeAffinity: object }; tolerations?: object[] } };
  };
}

const term = (zone: string) => ({
  matchExpressions: [{ key: "topology.kubernetes.io/zone", operator: "In", values: [zone] }],
});

test.each([
  ["StatefulSet", "main-kvsvr-1-b"],
  ["Deployment", "main-access-b"],
])("placement: %s %s is in its campus's zone or nowhere", (kind, name) => {
  const { nodeAffinity } = built({}, kind, name).template.spec.affinity;
  expect(nodeAffinity).toEqual({
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term("campus-b")] },
  });
});

test("placement: with profile Dev a single node without a label will do", () => {
  const { affinity } = built({ profile: "Dev" }, "StatefulSet", "main-kvsvr-1-b").template.spec;
  expect(affinity.nodeAffinity).toEqual({
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 100, preference: term("campus-b") },
    ],
  });
});

test("placement: a replica leaves neither a silent node nor its volume, and is restarted by the operator alone", () => {
  const set = built({}, "StatefulSet", "main-kvsvr-1-a");
  expect(set).toMatchObject({
    updateStrategy: { type: "OnDelete" },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
  });
  const forEver = ["not-ready", "unreachable"].map((trouble) => ({
    key: `node.kubernetes.io/${trouble}`,
    operator: "Exists",
    effect: "NoExecute",
  }));
  expect(set.template.spec.tolerations).toEqual(forEver);
});
