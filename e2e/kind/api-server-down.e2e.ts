/** The API server is down: the platform goes on, and a campus can be blocked all the same. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlatformStatus } from "../../cli/commands/status.ts";
import {
  cluster,
  condition,
  docker,
  get,
  tricampus,
  tryKubectl,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

const MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ASIDE = "/etc/kubernetes/kube-apiserver.yaml";
const controlPlane = `${cluster.name}-control-plane`;

beforeAll(() => wholePlatform());
afterAll(async () => {
  await docker("exec", controlPlane, "sh", "-c", `[ -e ${MANIFEST} ] || mv ${ASIDE} ${MANIFEST}`);
  await until("the API server answers", answers);
});

const answers = async () => (await tryKubectl(["get", "--raw", "/readyz"])).code === 0;
const read = async () => JSON.parse(await tricampus("status", "--json")) as PlatformStatus;

test("a block is set and ends by its own deadline, no send fails", async () => {
  await tricampus("status"); // addresses and certificate are remembered
  await duringReplay({ limit: 200, over: 30 }, async () => {
    await docker("exec", controlPlane, "mv", MANIFEST, ASIDE);
    await until("the API server is down", async () => !(await answers()));
    const words = ["--for", "10s", "--why", "the API server is away"];
    await tricampus("campus", "block", "b", ...words);
    const { blocks, campuses } = await read();
    expect(blocks).toMatchObject([{ what: "b", why: "the API server is away" }]);
    expect(campuses.map(({ state }) => state)).toEqual(["running", "running", "running"]);
    await until("the block has ended", async () => (await read()).blocks?.length === 0);
  });
  await docker("exec", controlPlane, "mv", ASIDE, MANIFEST);
  await until("the API server answers", answers);
  await until("the operator sees the world again", async () => {
    const { status } = await get("campus", "b");
    const blocked = await condition("campus", "b", "Blocked");
    return (status as { state?: string }).state === "ok" && blocked?.reason === "NotBlocked";
  });
});
