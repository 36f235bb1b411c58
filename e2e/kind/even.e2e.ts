/** Every campus has the same, also after a change of size and while a node is drained. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CAMPUSES,
  isWhole,
  kubectl,
  list,
  nodeOf,
  tryKubectl,
  until,
  wholePlatform,
} from "./testing/cluster.ts";

const DRAIN = ["--ignore-daemonsets", "--delete-emptydir-data", "--force"];
const SERVICES = "/spec/services";

beforeAll(() => wholePlatform());
afterAll(async () => {
  for (const campus of CAMPUSES) await tryKubectl(["uncordon", await nodeOf(campus)]);
});

/** Ready pods of a workload, by campus. */
async function perCampus(workload: string): Promise<Record<string, number>> {
  const pods = await list("pods", `tricampus.dev/workload=${workload}`);
  const found: Record<string, number> = {};
  for (const { metadata, status } of pods) {
    const { conditions = [] } = status as { conditions?: { type: string; status: string }[] };
    const isReady = conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
    const campus = metadata.labels!["tricampus.dev/campus"]!;
    if (isReady && metadata.deletionTimestamp === undefined)
      found[campus] = (found[campus] ?? 0) + 1;
  }
  return found;
}

async function patch(...operations: readonly object[]): Promise<void> {
  await kubectl("patch", "datacenter", "main", "--type=json", "-p", JSON.stringify(operations));
}

test("a new size is spread evenly, and so is the old one again", async () => {
  const access = { name: "access", replicas: 6 };
  await patch({ op: "add", path: `${SERVICES}/-`, value: access });
  await until("two a campus", async () => {
    const { a, b, c } = await perCampus("access");
    return a === 2 && b === 2 && c === 2 && (await isWhole());
  });
  await patch({ op: "remove", path: `${SERVICES}/1` });
  await until("one a campus", async () => {
    const pods = await list("pods", "tricampus.dev/workload=access");
    return pods.length === 3 && (await isWhole());
  });
  expect(await perCampus("access")).toEqual({ a: 1, b: 1, c: 1 });
});

test("a drained node takes its own campus alone, and no second one can be drained", async () => {
  await kubectl("drain", await nodeOf("b"), ...DRAIN, "--timeout=120s");
  await until("campus b is empty, a and c are not", async () => {
    const { a, b = 0, c } = await perCampus("logic");
    return a === 1 && b === 0 && c === 1;
  });
  const store = await perCampus("kvsvr-1");
  expect([store.a, store.c]).toEqual([1, 1]);
  const second = await tryKubectl(["drain", await nodeOf("a"), ...DRAIN, "--timeout=5s"]);
  expect(second.code).not.toBe(0);
  expect(`${second.stdout}${second.stderr}`).toContain("disruption budget");
  expect(await perCampus("kvsvr-1")).toMatchObject({ a: 1, c: 1 });
  for (const campus of ["a", "b"]) await kubectl("uncordon", await nodeOf(campus));
  await wholePlatform();
});
