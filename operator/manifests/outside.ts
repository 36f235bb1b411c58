/** Where people outside the cluster come in: one service a campus and kind of door. Pure. */
import type { DataCenterSpec } from "../api/data-center.ts";
import type { KubeObject } from "../kube/object.ts";
import { PORT } from "./pod.ts";
import { labelsOf, nameOf, ownedMetadata, type Site, selectorOf } from "./site.ts";

/** "clients": the access layer. "admin": the operator's people. And what their services are called. */
export const OUTSIDE = { clients: "clients", admin: "admin-door" } as const;

export type OutsideDoor = keyof typeof OUTSIDE;

export function outsideService(
  site: Site,
  door: OutsideDoor,
  { campus, workload }: { campus: string; workload: string },
): KubeObject {
  const { type, addresses } = site.spec[door] as DataCenterSpec["clients"];
  const port = door === "clients" ? PORT.client : PORT.admin;
  const nodePort = addresses?.find((one) => one.campus === campus)?.nodePort;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: ownedMetadata(
      site,
      nameOf(site, OUTSIDE[door], campus),
      labelsOf(site, OUTSIDE[door], campus),
    ),
    spec: {
      type,
      // Else access sees the nodes' addresses, and its limits of an address hold for all people together. At a node
      // port that would lead in only at the pod's own node.
      ...(type === "LoadBalancer" && { externalTrafficPolicy: "Local" }),
      selector: selectorOf(site, workload, campus),
      ports: [
        {
          name: door,
          port,
          targetPort: port,
          protocol: "TCP",
          ...(nodePort !== undefined && type !== "ClusterIP" && { nodePort }),
        },
      ],
    },
  };
}
