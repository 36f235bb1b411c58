/** The chart is removed and installed again: it ends without hanging, and the data is found. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { tricampus as onThisMachine } from "../../cli/testing/own-platform.ts";
import {
  cluster,
  helm,
  install,
  list,
  RELEASE,
  tricampus,
  tryTricampus,
  until,
  wholePlatform,
} from "./testing/cluster.ts";

const people = ["eve", "fay"] as const;

beforeAll(() => wholePlatform());

/** The cluster's store, out of it and into a platform on this machine, which is not started. */
async function backUpAndRestore(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tricampus-backup-"));
  const [backup, dataDir] = [join(folder, "backup"), join(folder, "data")];
  try {
    const taken = JSON.parse(await tricampus("kv", "backup", backup, "--json"));
    expect(taken.keys).toBeGreaterThan(10);
    expect(taken.tables).toBeGreaterThan(2);
    const restored = await onThisMachine(dataDir, ["kv", "restore", backup, "--json"]);
    expect(restored.stderr).toBe("");
    expect(JSON.parse(restored.stdout)).toMatchObject({ keys: taken.keys, tables: taken.tables });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("uninstalled and installed again, the platform has its data, its people and their logins", async () => {
  for (const name of people)
    await tryTricampus("user", "register", name, "--password", "correct-horse");
  await tricampus("send", "eve", "before the end", "--to", "fay");
  const claims = async () => {
    const found = await list("persistentvolumeclaims");
    return found.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
  };
  const before = await claims();
  await backUpAndRestore();
  await helm("uninstall", RELEASE, "--wait", "--timeout", "3m");
  await until("no pod is left", async () => (await list("pods")).length === 0);
  expect(await list("datacenters")).toEqual([]);
  expect(await claims()).toEqual(before);

  await install(cluster.tags[0]);
  await wholePlatform();
  expect(await claims()).toEqual(before);
  expect(await tricampus("sync", "fay")).toContain("before the end");
  await tricampus("send", "fay", "after it", "--to", "eve");
  expect(await tricampus("sync", "eve")).toContain("after it");
});
