/** Applies the definitions of our kinds and ends: what an upgrade of the chart runs first. */
import { customResourceDefinition, KINDS } from "./api/custom-resource.ts";
import { API_GROUP } from "./api/schema.ts";
import { ApiClient } from "./kube/api-client.ts";
import { connectionInPod } from "./kube/connection.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

const client = new ApiClient(connectionInPod(process.env));
for (const kind of KINDS) {
  // Ours whoever made them: the chart's first installation did, under Helm's name.
  const path = `${DEFINITIONS}/${kind.plural}.${API_GROUP}?fieldManager=tricampus&force=true`;
  const contentType = "application/apply-patch+yaml";
  await client.carryOut({
    method: "PATCH",
    path,
    contentType,
    body: customResourceDefinition(kind),
  });
  process.stdout.write(`${kind.plural}.${API_GROUP} is applied\n`);
}
client.stop();
