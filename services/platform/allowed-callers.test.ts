import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { allowedCallers } from "./allowed-callers.ts";
import { isService } from "./services.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Only tests and benchmarks serve it. */
const NEVER_SERVED = "tricampus.svrkit.v1.Echo/Echo";
const NOT_SERVICES = ["cli", "operator", "control", "agent"];
const COMING = ["admin-data"];

async function allMethods(): Promise<string[]> {
  const files = globSync("protos/gen/tricampus/**/*_codec.ts", { cwd: ROOT });
  const modules = await Promise.all(files.map((file) => import(join(ROOT, file))));
  return modules.flatMap((module) =>
    Object.values<object>(module)
      .filter((value) => typeof value === "object")
      .flatMap((service) => Object.values(service))
      .flatMap((method) => (typeof method?.hash === "number" ? [method.name as string] : [])),
  );
}

test("allowed callers: every method of the .proto files is in the table, of services that exist or come", async () => {
  const methods = await allMethods();
  expect(methods.length).toBeGreaterThan(50);
  for (const method of methods.filter((name) => name !== NEVER_SERVED)) {
    const callers = [...(allowedCallers(method) ?? [])];
    expect(callers, method).not.toEqual([]);
    const unknown = callers.filter(
      (name) => !isService(name) && ![...NOT_SERVICES, ...COMING].includes(name),
    );
    expect(unknown, method).toEqual([]);
  }
});

test.each([
  ["tricampus.kv.v1.Replica/Vote", "kvsvr-3", true],
  ["tricampus.kv.v1.Replica/Vote", "text", false],
  ["tricampus.kv.v1.Replica/ListVersions", "cli", true],
  ["tricampus.kv.v1.Kv/Get", "text", false],
  ["tricampus.data.v1.InboxData/Changes", "sync", true],
  ["tricampus.data.v1.InboxData/Changes", "fanout", false],
])("allowed callers: %s by %s: %s", (method, caller, may) => {
  expect(allowedCallers(method)!.has(caller)).toBe(may);
});
