/** An API server double of its own process, with data centres in it: argv has their number and groups each. */

import { campusSchema } from "../../operator/api/campus.ts";
import { dataCenterSchema } from "../../operator/api/data-center.ts";
import { kvGroupSchema } from "../../operator/api/kv-group.ts";
import { apiVersionOf, type KindName, pathOf } from "../../operator/kube/api-paths.ts";
import type { KubeObject } from "../../operator/kube/object.ts";
import { SimulatedCluster } from "../../operator/testing/api-double/controllers.ts";
import { ApiDouble } from "../../operator/testing/api-double/server.ts";
import type { DoubleCounts } from "./messages.ts";

const NAMESPACE = "bench";
const CAMPUSES = ["a", "b", "c"] as const;
const LEASES = "/apis/coordination.k8s.io/v1 leases";
const COUNTED = [
  ...["services", "configmaps", "persistentvolumeclaims"].map((plural) => `/api/v1 ${plural}`),
  ...["statefulsets", "deployments"].map((plural) => `/apis/apps/v1 ${plural}`),
  "/apis/policy/v1 poddisruptionbudgets",
  "/apis/networking.k8s.io/v1 networkpolicies",
];

const [dataCenters = 0, groupsEach = 0] = process.argv.slice(2).map(Number);
const double = new ApiDouble();
const nodes = CAMPUSES.map((campus) => ({ name: `node-${campus}`, zone: `zone-${campus}` }));
// Its nodes and addresses, and none of its pods: what is measured is the operator.
new SimulatedCluster(double, { nodes }).stop();

function write(kind: KindName, name: string, spec: object): void {
  const path = pathOf(kind, undefined);
  const at = path.lastIndexOf("/");
  const place = {
    resource: `${path.slice(0, at)} ${path.slice(at + 1)}`,
    namespace: NAMESPACE,
  };
  const object = { apiVersion: apiVersionOf(kind), kind, metadata: { name }, spec };
  double.objects.create(place, object as KubeObject, { manager: "person" });
}

for (let i = 0; i < dataCenters; i++) {
  const dataCenter = `dc-${i}`;
  const campuses = CAMPUSES.map((name) => ({ name, zone: `zone-${name}` }));
  write("DataCenter", dataCenter, dataCenterSchema.parse({ spec: { id: i % 256, campuses } }).spec);
  for (const name of CAMPUSES) {
    const spec = { dataCenter, name, zone: `zone-${name}` };
    write("Campus", `${dataCenter}-${name}`, campusSchema.parse({ spec }).spec);
  }
  for (let number = 1; number <= groupsEach; number++) {
    const { spec } = kvGroupSchema.parse({ spec: { dataCenter, number } });
    write("KVGroup", `${dataCenter}-${number}`, spec);
  }
}

process.on("message", () => {
  const { user, system } = process.cpuUsage();
  const counts: DoubleCounts = {
    writes: double.writes,
    leaseWrites: double.writesTo(LEASES),
    objects: COUNTED.reduce((sum, resource) => sum + double.objects.count(resource), 0),
    cpuSeconds: Math.round((user + system) / 1e5) / 10,
  };
  process.send!(counts);
});
process.on("disconnect", () => process.exit());
process.send!(await double.listen());
