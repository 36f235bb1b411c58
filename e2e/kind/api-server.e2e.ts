/** What is proved with the API server double holds with a real API server: the double's own suite. */
import { connectionByKubeconfig } from "../../operator/kube/kubeconfig.ts";
import { apiServerSuite } from "../../operator/testing/api-server.suite.ts";
import { cluster, wholePlatform } from "./testing/cluster.ts";
import { run } from "./testing/run.ts";

const SPACE = "api-server-suite";
const POD_SPACE = "api-server-suite-pods";
const kubectl = (...args: readonly string[]) =>
  run("kubectl", ["--kubeconfig", cluster.kubeconfig, ...args]);

const openReal = async () => {
  await wholePlatform(); // it has the definitions with it
  await kubectl("create", "namespace", SPACE);
  await kubectl("create", "namespace", POD_SPACE);
  // What the suite makes is looked at as objects: no pod of it needs to run.
  await kubectl("create", "quota", "no-pods", "--hard=pods=0", "--namespace", SPACE);
  const { connection } = await connectionByKubeconfig({ path: cluster.kubeconfig });
  const close = async () => {
    await kubectl("delete", "namespace", SPACE, POD_SPACE, "--wait=false");
  };
  return { connection, namespace: SPACE, podSpace: POD_SPACE, close };
};
apiServerSuite("a real one", openReal, { isOld: false });
