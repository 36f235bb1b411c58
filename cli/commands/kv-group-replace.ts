/**
 * `tricampus kv group replace`: the named human act after which the operator gives a replica a new volume.
 * It is written into the KVGroup; the operator does the rest, once both others are well.
 */
import { pathOf } from "../../operator/kube/api-paths.ts";
import type { KubeObject } from "../../operator/kube/object.ts";
import { AS, WHY, whoOf } from "../act.ts";
import { parseWords } from "../block-arguments.ts";
import { type ApiServer, withApiServer } from "../cluster/from-api-server.ts";
import { writeAct } from "../cluster/write-act.ts";
import { type CommandDefinition, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";

interface GroupObject extends KubeObject {
  readonly spec: { readonly dataCenter: string; readonly number: number };
  readonly status?: { readonly replicas?: readonly { campus: string; state: string }[] };
}

export const kvGroupReplaceCommand: CommandDefinition = {
  name: "kv group replace",
  summary:
    "in a cluster: give a replica whose node is gone for good a new volume, from both others",
  arguments: [
    ["<group>", "its number"],
    ["<campus>", "where the replica is"],
  ],
  options: [WHY, AS, ["--yes", "do it: what is on its volume is deleted"]],
  run: async (call) => {
    if (call.context === undefined)
      throw new Failure(EXIT.usage, "on one machine, use `tricampus kv rebuild`");
    const [number = "", campus = ""] = call.arguments;
    const why = parseWords("--why", textOption(call, "why"));
    const who = whoOf(call);
    const act = `${new Date().toISOString()} ${who}`;
    const name = await withApiServer(call, async (server, dataCenter) => {
      const group = await findGroup(server, dataCenter, Number(number));
      requireReplica(group, campus);
      if (call.options.yes !== true) {
        const lost = `the volume of ${group.metadata.name}'s replica in campus ${campus}`;
        throw new Failure(EXIT.usage, `${lost} would be deleted: say --yes to do it`);
      }
      const replace = { campus, act, reason: why };
      await writeAct(server, { kind: "KVGroup", name: group.metadata.name }, { replace });
      return group.metadata.name;
    });
    if (call.json) printJson({ group: name, campus, act });
    else {
      console.log(
        `The operator replaces the replica in campus ${campus} once both others are well.`,
      );
      console.log(`Follow it: kubectl get kvgroup ${name} --watch`);
    }
    return EXIT.ok;
  },
};

async function findGroup(
  { client, namespace }: ApiServer,
  dataCenter: string,
  number: number,
): Promise<GroupObject> {
  const path = pathOf("KVGroup", namespace);
  const { items } = await client.request<{ items: GroupObject[] }>({ method: "GET", path });
  const all = items.filter(({ spec }) => spec.dataCenter === dataCenter);
  const found = all.find(({ spec }) => spec.number === number);
  if (found !== undefined) return found;
  const numbers = all.map(({ spec }) => spec.number).toSorted();
  throw new Failure(
    EXIT.usage,
    `there is no KV group "${number}": there are ${numbers.join(", ")}`,
  );
}

function requireReplica({ status }: GroupObject, campus: string): void {
  const replicas = status?.replicas ?? [];
  if (replicas.some((one) => one.campus === campus)) return;
  const there = replicas.map((one) => one.campus).join(", ");
  throw new Failure(EXIT.usage, `there is no replica in campus "${campus}": there are ${there}`);
}
