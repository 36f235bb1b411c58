/** The operator as it runs in a pod, before the double at argv's address; its parent asks how it is. */
import { ApiClient } from "../../operator/kube/api-client.ts";
import { plainConnection } from "../../operator/kube/connection.ts";
import type { StoreLink } from "../../operator/observe/store-link.ts";
import { Operator } from "../../operator/operator.ts";
import type { OperatorState, ToOperator } from "./messages.ts";

const [url] = process.argv.slice(2);
// Without an address it is only compiled, as the image has compiled the operator's own entry.
if (url === undefined) process.exit();

/** No pod runs, so no replica says anything. */
const NO_STORE: StoreLink = {
  follow: () => {},
  forget: () => {},
  facts: () => ({ words: new Map(), table: undefined, busyPercent: new Map() }),
  tables: () => undefined,
  stop: () => {},
};
const log = { debug() {}, info() {}, warn() {}, error() {} };

let rounds = 0;
let rssMbMax = 0;
const operator = new Operator({
  client: new ApiClient(plainConnection(url)),
  namespace: "bench",
  identity: "operator-1",
  image: "tricampus:bench",
  newStoreLink: () => NO_STORE,
  log,
  onRound: () => {
    rounds += 1;
  },
});

const rssMb = () => Math.round(process.memoryUsage.rss() / 1024 / 1024);
setInterval(() => {
  rssMbMax = Math.max(rssMbMax, rssMb());
}, 200).unref();

process.on("message", ({ ask }: ToOperator) => {
  if (ask === "rounds") operator.lookAtAll();
  const { user, system } = process.cpuUsage();
  const state: OperatorState = {
    depth: operator.depth ?? -1,
    rounds,
    rssMb: rssMb(),
    rssMbMax,
    cpuSeconds: (user + system) / 1e6,
  };
  process.send!(state);
});
process.on("disconnect", () => process.exit());
await operator.start();
