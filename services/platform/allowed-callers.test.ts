import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { allowedCallers } from "./allowed-callers.ts";
import { ALL_SERVICES } from "./services.ts";
import { checkCallers, shortName, USUAL_CALLERS, usualCallers } from "./usual-callers.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Only tests and benchmarks serve it. */
const NEVER_SERVED = "tricampus.svrkit.v1.Echo/Echo";
const KNOWN = [...ALL_SERVICES, "admin-data", "cli", "operator", "control", "agent"];

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

test("allowed callers: every method of the .proto files is in the table, with somebody who may call it", async () => {
  const methods = await allMethods();
  expect(methods.length).toBeGreaterThan(50);
  for (const method of methods.filter((name) => name !== NEVER_SERVED)) {
    const allowed = allowedCallers(method);
    const callers = KNOWN.filter((name) => allowed?.has(name));
    expect(callers, method).not.toEqual([]);
  }
});

test("allowed callers: every method and its service may be named in the limits file", async () => {
  const names = (await allMethods()).filter((name) => name !== NEVER_SERVED).map(shortName);
  const services = names.map((name) => name.split("/")[0]!);
  for (const name of [...names, ...services])
    expect(() => checkCallers({ [name]: usualCallers(name)! }), name).not.toThrow();
});

test("allowed callers: the table names services that exist or come", () => {
  const unknown = Object.values(USUAL_CALLERS).flatMap((callers) =>
    callers.filter((name) => !KNOWN.includes(name)),
  );
  expect(unknown).toEqual([]);
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
