/** An act that the operator is to carry out, written into the spec of an object. */
import { ApiError } from "../../operator/kube/api-client.ts";
import { type KindName, pathOf } from "../../operator/kube/api-paths.ts";
import { EXIT, Failure } from "../failure.ts";
import type { ApiServer } from "./from-api-server.ts";

/** Without being asked to be strict the server drops a field that its definition of the kind lacks, and says 200. */
export async function writeAct(
  { client, namespace }: ApiServer,
  { kind, name }: { kind: KindName; name: string },
  spec: Readonly<Record<string, { campus: string; act: string; reason: string }>>,
): Promise<void> {
  try {
    await client.carryOut({
      method: "PATCH",
      path: `${pathOf(kind, namespace, name)}?fieldValidation=Strict`,
      contentType: "application/merge-patch+json",
      body: { spec },
    });
  } catch (error) {
    if (!(error instanceof ApiError && /unknown field/.test(error.message))) throw error;
    const field = Object.keys(spec).join();
    throw new Failure(
      EXIT.failed,
      `the cluster's ${kind} knows no spec.${field}, so nothing was written: its definitions and its operator are ` +
        "older than this command; upgrade them first",
    );
  }
}
