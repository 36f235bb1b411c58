/** A new version of chart and image under load, campus after campus, and back. */
import { beforeAll, expect, test } from "vitest";
import {
  cluster,
  get,
  install,
  isWhole,
  kubectl,
  list,
  measured,
  secondsOf,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { duringReplays } from "./testing/replay.ts";
import { tracesWhenFailed } from "./testing/traces.ts";

const ROLL_MS = 400_000;
const DEFINITION = "kvgroups.tricampus.dev";

beforeAll(() => wholePlatform());

async function images(): Promise<string[]> {
  const pods = await list("pods", "app.kubernetes.io/managed-by=tricampus-operator");
  const all = pods.map(({ spec }) => (spec as { containers: { image: string }[] }).containers[0]!);
  return [...new Set(all.map(({ image }) => image))];
}

const shortNames = async () => {
  const { spec } = await get("customresourcedefinition", DEFINITION);
  return (spec as { names: { shortNames?: string[] } }).names.shortNames ?? [];
};

test.each([
  ["to the new version", cluster.tags[1]],
  ["back to the old one", cluster.tags[0]],
])("%s: no send fails and the ledger is clean", async (_, tag) => {
  tracesWhenFailed();
  const wanted = `${cluster.repository}:${tag}`;
  // As if an earlier version had other definitions: Helm alone would leave them so.
  const patch = [{ op: "remove", path: "/spec/names/shortNames" }];
  await kubectl("patch", "crd", DEFINITION, "--type=json", "-p", JSON.stringify(patch));
  await duringReplays({ limit: 150, over: 20 }, async () => {
    await install(tag);
    expect(await shortNames()).toEqual(["kvg"]);
    const ms = await until(
      "all pods have the image, and all is well",
      async () => {
        const found = await images();
        return found.length === 1 && found[0] === wanted && (await isWhole());
      },
      ROLL_MS,
    );
    measured(`another image in all three campuses: ${secondsOf(ms)}`);
  });
  expect(await images()).toEqual([wanted]);
});
