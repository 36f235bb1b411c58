/** The operator that acts is killed at once, in the middle of its work: another one finishes it. */
import { beforeAll, expect, test } from "vitest";
import {
  get,
  isWhole,
  kubectl,
  list,
  measured,
  secondsOf,
  until,
  wholePlatform,
} from "./testing/cluster.ts";

beforeAll(() => wholePlatform());

const holder = async () => {
  const { spec } = await get("lease", "tricampus-operator");
  return (spec as { holderIdentity?: string }).holderIdentity ?? "";
};

const identities = async (selector: string) => {
  const pods = await list("pods", selector);
  return pods.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
};

const NOT_ACCESS = "app.kubernetes.io/name=tricampus,tricampus.dev/workload!=access";
const CHANGES = [
  [{ op: "add", path: "/spec/services/-", value: { name: "access", replicas: 6 } }, 6],
  [{ op: "remove", path: "/spec/services/1" }, 3],
] as const;

test("what it had begun is finished by another one, and nobody else's pod is restarted", async () => {
  const before = await identities(NOT_ACCESS);
  for (const [change, pods] of CHANGES) {
    const acting = await holder();
    await kubectl("patch", "datacenter", "main", "--type=json", "-p", JSON.stringify([change]));
    await kubectl("delete", "pod", acting, "--grace-period=0", "--force");
    const ms = await until("another one acts", async () => {
      return ![acting, ""].includes(await holder());
    });
    measured(`operator killed to the next one acting: ${secondsOf(ms)}`);
    await until(`${pods} pods of access`, async () => {
      const found = await list("pods", "tricampus.dev/workload=access");
      return found.length === pods && (await isWhole());
    });
  }
  expect(await identities(NOT_ACCESS)).toEqual(before);
});

test("all operators start anew, and no pod of the platform does", async () => {
  const before = await identities("app.kubernetes.io/name=tricampus");
  await kubectl("rollout", "restart", "deployment/tricampus-operator");
  await kubectl("rollout", "status", "deployment/tricampus-operator", "--timeout=180s");
  await wholePlatform();
  expect(await identities("app.kubernetes.io/name=tricampus")).toEqual(before);
});
