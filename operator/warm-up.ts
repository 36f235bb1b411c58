/** Compiles what an operator in its pod loads, once, when the image is built. */
import { flushCompileCache } from "node:module";
import "../services/platform/certificates.ts";
import "./config.ts";
import "./health.ts";
import "./kube/connection.ts";
import "./kube/kubeconfig.ts";
import "./metrics.ts";
import "./operator.ts";

flushCompileCache();
