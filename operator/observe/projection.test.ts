import { expect, test } from "vitest";
import type { KubeObject } from "../kube/object.ts";
import { LABEL } from "../manifests/site.ts";
import { projectPod } from "./projection.ts";

const waiting = (reason: string, message = "") => ({ state: { waiting: { reason, message } } });

const PODS: [situation: string, status: object, trouble: string][] = [
  ["it starts", { containerStatuses: [waiting("ContainerCreating")] }, ""],
  [
    "its image is not there",
    { containerStatuses: [waiting("ImagePullBackOff", "no such image")] },
    "ImagePullBackOff: no such image",
  ],
  [
    "the image of the server beside it is not there",
    {
      initContainerStatuses: [waiting("ImagePullBackOff", "no such nats")],
      containerStatuses: [waiting("PodInitializing")],
    },
    "ImagePullBackOff: no such nats",
  ],
  [
    "the server beside it runs, and it does not",
    {
      initContainerStatuses: [{ state: { running: {} } }],
      containerStatuses: [waiting("CrashLoopBackOff")],
    },
    "CrashLoopBackOff",
  ],
];

test.each(PODS)("why a pod cannot run: %s", (_, status, trouble) => {
  const labels = { [LABEL.dataCenter]: "main", [LABEL.workload]: "router", [LABEL.campus]: "a" };
  const pod = { metadata: { name: "x", uid: "u", resourceVersion: "1", labels }, spec: {}, status };
  expect(projectPod(pod as unknown as KubeObject)?.trouble).toBe(trouble);
});
