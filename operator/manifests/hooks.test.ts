import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { fanoutOptions } from "../../services/logic/fanout/config.ts";
import { hooksOptions } from "../../services/logic/hooks/config.ts";
import { textOptions } from "../../services/logic/text/config.ts";
import { customResourceDefinition, KINDS } from "../api/custom-resource.ts";
import { dataCenterSchema } from "../api/data-center.ts";
import { desiredOf } from "../plan/desired.ts";
import { SAMPLE_HOOKS, sampleInputs } from "../testing/samples.ts";

interface Pod {
  containers: { volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[] }[];
  volumes: { name: string; secret?: { secretName: string } }[];
}
type Options = Record<string, Record<string, unknown>>;

/** What the operator would apply. */
function built(changes: object) {
  const objects = desiredOf(sampleInputs("test", changes)).map(({ object }) => object);
  const pods = objects.flatMap(({ kind, metadata, spec }) =>
    kind === "Deployment" || kind === "StatefulSet"
      ? [{ name: metadata.name, ...(spec as { template: { spec: Pod } }).template.spec }]
      : [],
  );
  const options = objects.flatMap(({ metadata, data }) => {
    const text = (data as Record<string, string> | undefined)?.["process.json"];
    return text === undefined ? [] : [[metadata.name, JSON.parse(text).options] as const];
  });
  return { objects, pods, options: Object.fromEntries(options) as Record<string, Options> };
}

/** By pod of campus a: the integrators' Secrets that it mounts. */
function secretsOf(changes: object): Record<string, string[]> {
  const mounted = built(changes).pods.flatMap(({ name, volumes }) => {
    const names = volumes.flatMap(({ secret }) => secret?.secretName ?? []);
    const foreign = names.filter((secret) => secret.startsWith("my-"));
    return name.endsWith("-a") && foreign.length > 0 ? [[name, foreign.toSorted()]] : [];
  });
  return Object.fromEntries(mounted) as Record<string, string[]>;
}

interface Policy {
  podSelector: { matchLabels: Record<string, string> };
  egress?: { ports: { port: number }[] }[];
}

/** The pods that are let out of the data centre, and to which ports. */
function waysOut(changes: object) {
  const policies = built(changes).objects.filter(
    ({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name !== "main-inside",
  );
  return policies.flatMap(({ spec }) => {
    const { podSelector, egress = [] } = spec as unknown as Policy;
    const pods = podSelector.matchLabels["tricampus.dev/workload"];
    const open = egress.flatMap(({ ports }) => ports.map(({ port }) => port));
    return open.length === 0 ? [] : [[pods, open]];
  });
}

test("hooks: each Secret is mounted, to read, where its server is called, and nowhere else", () => {
  expect(secretsOf(SAMPLE_HOOKS)).toEqual({
    "main-logic-a": ["my-filter"],
    "main-queue-a": ["my-events", "my-pushes"],
  });
  expect(secretsOf({ ...SAMPLE_HOOKS, layout: "Split" })).toEqual({
    "main-text-a": ["my-filter"],
    "main-hooks-a": ["my-events", "my-pushes"],
  });
  expect(secretsOf({ ...SAMPLE_HOOKS, profile: "Dev" })).toEqual({
    "main-kvsvr-1-a": ["my-events", "my-filter", "my-pushes"],
  });
  const { containers } = built(SAMPLE_HOOKS).pods.find(({ name }) => name === "main-queue-b")!;
  const name = "events-secret";
  const mount = { name, mountPath: "/etc/tricampus/events-secret", readOnly: true };
  expect(containers[0]!.volumeMounts).toContainEqual(mount);
});

test("hooks: who calls a server is let out to its port, and nobody else", () => {
  expect(waysOut(SAMPLE_HOOKS).toSorted()).toEqual([
    ["logic", [8443, 53, 53]],
    ["queue", [443, 8080, 53, 53]],
  ]);
  expect(waysOut({ ...SAMPLE_HOOKS, layout: "Split" }).toSorted()).toEqual([
    ["hooks", [443, 8080, 53, 53]],
    ["text", [8443, 53, 53]],
  ]);
  expect(waysOut({ hooks: { events: SAMPLE_HOOKS.hooks.events } })).toEqual([
    ["queue", [443, 53, 53]],
  ]);
});

test("hooks: the services take what they are told, and who carries messages knows whom to tell", () => {
  const { options } = built({ ...SAMPLE_HOOKS, layout: "Split" });
  const hooks = hooksOptions.parse(options["main-hooks"]!.hooks);
  expect(hooks).toMatchObject({
    events: { url: "https://events.example/", attempts: 8, withText: true },
    pushes: { secretFile: "/etc/tricampus/pushes-secret/secret", withText: false },
  });
  expect(textOptions.parse(options["main-text"]!.text)).toMatchObject({
    beforeSend: { secretFile: "/etc/tricampus/before-send-secret/secret", onFailure: "allow" },
    hooks: ["events", "pushes"],
  });
  expect(fanoutOptions.parse(options["main-fanout"]!.fanout).hooks).toEqual(["events", "pushes"]);
  for (const name of ["main-account", "main-queue"]) expect(options[name]).toEqual({});
});

test("hooks: those that nobody asked for leave no trace, so that no pod is replaced for them", () => {
  const { beforeSend } = SAMPLE_HOOKS.hooks;
  const { options } = built({ hooks: { beforeSend } });
  expect(Object.keys(options["main-logic"]!.text!)).toEqual(["beforeSend"]);
  expect(options["main-queue"]).toEqual({});
  expect(built({ hooks: {} })).toEqual(built({}));
  expect(JSON.stringify(built({}).objects)).not.toMatch(/events-secret|"hooks":/);
});

test("hooks: what people name of a service counts beside its hooks", () => {
  const services = [{ name: "logic", options: { text: { recallMs: 7 } } }];
  const { options } = built({ ...SAMPLE_HOOKS, services });
  expect(options["main-logic"]!.text).toMatchObject({ recallMs: 7, hooks: ["events", "pushes"] });
});

/** The pattern that the API server holds addresses against. */
function patternOf(hook: string): RegExp {
  const definition = JSON.stringify(
    customResourceDefinition(KINDS.find(({ plural }) => plural === "datacenters")!),
  );
  const { spec } = JSON.parse(definition);
  const { properties } = spec.versions[0].schema.openAPIV3Schema.properties.spec;
  return new RegExp(properties.hooks.properties[hook].properties.url.pattern);
}

test.each([
  ["https://hooks.example/events?team=1", true],
  ["http://10.0.0.7:8080", true],
  ["http://[fd00::7]:8080/", true],
  ["https://token@hooks.example/", false],
  ["https://hooks.example/a b", false],
  ["https://hooks.example:0/", false],
  ["https://hooks.example:port/", false],
  ["ftp://hooks.example/", false],
  ["hooks.example", false],
])("hooks: the API server takes %s: %s", (url, taken) => {
  for (const hook of ["beforeSend", "events", "pushes"])
    expect(patternOf(hook).test(url)).toBe(taken);
});

test("hooks: the example is a data centre whose keys are in Secrets", () => {
  const path = join(import.meta.dirname, "../../crds/examples/hooks.yaml");
  const [dataCenter] = parseAllDocuments(readFileSync(path, "utf8")).map((one) => one.toJS());
  const { hooks } = dataCenterSchema.parse({ spec: dataCenter.spec }).spec;
  expect(Object.keys(hooks!)).toEqual(["beforeSend", "events", "pushes"]);
});
