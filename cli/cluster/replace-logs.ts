/**
 * `tricampus queue rebuild` in a cluster: written into the DataCenter, as `kv group replace` is into a KVGroup; the
 * operator gives the campus's logs a new volume once both others are well.
 */
import { pathOf } from "../../operator/kube/api-paths.ts";
import type { KubeObject } from "../../operator/kube/object.ts";
import { whoOf } from "../act.ts";
import { parseWords } from "../block-arguments.ts";
import { type CommandCall, textOption } from "../command.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { type ApiServer, withApiServer } from "./from-api-server.ts";
import { writeAct } from "./write-act.ts";

interface DataCenterObject extends KubeObject {
  readonly spec: {
    readonly profile?: string;
    readonly campuses: readonly { readonly name: string }[];
  };
}

export async function replaceLogs(call: CommandCall): Promise<ExitCode> {
  const campus = call.arguments[0]!;
  if (textOption(call, "group") !== undefined)
    throw new Failure(EXIT.usage, "--group: in a cluster both logs of a campus are on one volume");
  const reason = parseWords("--why", textOption(call, "why"));
  const act = `${new Date().toISOString()} ${whoOf(call)}`;
  const name = await withApiServer(call, async (server, dataCenter) => {
    await requireLogs(server, dataCenter, campus);
    if (call.options.yes !== true) {
      const lost = `the volume of the queue's logs in campus ${campus}`;
      throw new Failure(EXIT.usage, `${lost} would be deleted: say --yes to do it`);
    }
    const replaceLogs = { campus, act, reason };
    await writeAct(server, { kind: "DataCenter", name: dataCenter }, { replaceLogs });
    return dataCenter;
  });
  if (call.json) printJson({ dataCenter: name, campus, act });
  else {
    console.log(
      `The operator replaces the queue's logs in campus ${campus} once both others are well.`,
    );
    console.log(`Follow it: kubectl describe datacenter ${name}`);
  }
  return EXIT.ok;
}

async function requireLogs(
  { client, namespace }: ApiServer,
  dataCenter: string,
  campus: string,
): Promise<void> {
  const path = pathOf("DataCenter", namespace, dataCenter);
  const { spec } = await client.request<DataCenterObject>({ method: "GET", path });
  if (spec.profile === "Dev")
    throw new Failure(
      EXIT.usage,
      `with profile Dev the logs are on the volume of group 1: tricampus kv group replace 1 ${campus}`,
    );
  const names = spec.campuses.map(({ name }) => name);
  if (names.includes(campus)) return;
  throw new Failure(
    EXIT.usage,
    `there is no campus "${campus}": there are ${names.toSorted().join(", ")}`,
  );
}
