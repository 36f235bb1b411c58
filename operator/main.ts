/** Entry of the operator in its pod. */
import { createServer } from "node:http";
import { createLogger } from "../services/svrkit/log.ts";
import { checkOperatorConfig } from "./config.ts";
import { liveness, readiness } from "./health.ts";
import { ApiClient } from "./kube/api-client.ts";
import { connectionInPod, namespaceOfPod } from "./kube/connection.ts";
import { connectionByKubeconfig } from "./kube/kubeconfig.ts";
import { OperatorMetrics } from "./metrics.ts";
import { SvrkitStoreLink } from "./observe/store-link.ts";
import { Operator } from "./operator.ts";

const config = checkOperatorConfig(process.env);
const log = createLogger({ process: config.POD_NAME, level: config.TRICAMPUS_LOG_LEVEL });
const { connection, namespace } = await connect();
const client = new ApiClient(connection);
const metrics = new OperatorMetrics();
const operator = new Operator({
  client,
  namespace: config.TRICAMPUS_NAMESPACE ?? namespace,
  identity: config.POD_NAME,
  image: config.TRICAMPUS_IMAGE,
  newStoreLink: (onChange) => new SvrkitStoreLink(onChange),
  onAction: (_, action) => metrics.acted(action),
  onRound: (seconds, result) => metrics.round(seconds, result),
  log,
});
metrics.follow({ operator, client });

/** In a pod by its account; elsewhere, for developing, by $KUBECONFIG. */
async function connect() {
  if (process.env.KUBECONFIG !== undefined) return connectionByKubeconfig({});
  return { connection: connectionInPod(process.env), namespace: namespaceOfPod() };
}

const http = createServer(async (request, response) => {
  if (request.url === "/metrics") {
    response.setHeader("content-type", "text/plain; version=0.0.4");
    response.end(await metrics.text());
    return;
  }
  const ages = operator.cluster.ages();
  const verdict =
    request.url === "/livez"
      ? liveness(ages, performance.now() - client.answeredAtMs)
      : readiness(ages);
  response.writeHead(verdict.ok ? 200 : 503, { "content-type": "text/plain" });
  response.end(`${verdict.text}\n`);
});
http.listen(config.TRICAMPUS_HTTP_PORT);

const stop = () => {
  void operator.stop().then(() => process.exit(0));
};
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
log.info(
  { namespace: config.TRICAMPUS_NAMESPACE ?? namespace, image: config.TRICAMPUS_IMAGE },
  "starts",
);
await operator.start();
log.info({}, "everything is listed");
