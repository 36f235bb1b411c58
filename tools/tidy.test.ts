import { expect, test } from "vitest";
import { checkTidy } from "./tidy.ts";

/** The rules a file breaks, each once, and only those that fail. */
function rules(path: string, text: string): string[] {
  const failing = checkTidy([{ path, text }]).filter((finding) => !finding.isWarning);
  return [...new Set(failing.map((finding) => finding.rule))];
}

const PLAIN = "services/text/handlers.ts";

function expectFound(
  rule: string,
  table: readonly (readonly [path: string, text: string])[],
): void {
  for (const [path, text] of table) expect(rules(path, text), `${path}: ${text}`).toEqual([rule]);
}

function expectTidy(table: readonly (readonly [path: string, text: string])[]): void {
  for (const [path, text] of table) expect(rules(path, text), `${path}: ${text}`).toEqual([]);
}

test("tidy: what is not erasable is found", () => {
  expectFound("erasable", [
    [PLAIN, "enum Color { Red }"],
    [PLAIN, "export const enum Color { Red }"],
    [PLAIN, "namespace A { export const b = 1; }"],
    [PLAIN, "class A { constructor(private readonly b: string) {} }"],
    [PLAIN, "class A { constructor(b: Map<string, number>, readonly c: string) {} }"],
    [PLAIN, "@decorate\nclass A {}"],
    [PLAIN, "class A { @decorate() b = 1; }"],
    [PLAIN, 'import a = require("a");'],
    [PLAIN, "export = a;"],
  ]);
});

test("tidy: what only looks like it passes", () => {
  expectTidy([
    [PLAIN, 'const a = z.enum(["b"]); f(field.enum); // enum A {'],
    [PLAIN, 'const a = "enum A { @b } namespace C {";'],
    [PLAIN, "class A { constructor(b: Map<string, readonly string[]>) {} }"],
    [PLAIN, "class A { private readonly b: string; constructor(b: string) { this.b = b; } }"],
    [PLAIN, "/** @see b */ const a = `@b`;"],
    [PLAIN, 'declare module "x" { interface Y { z: 1 } }'],
  ]);
});

test("tidy: imports that Node cannot follow are found", () => {
  expectFound("import-form", [
    [PLAIN, 'import { a } from "./a";'],
    [PLAIN, 'import { a } from "./a.js";'],
    [PLAIN, 'export * from "../a";'],
    [PLAIN, 'import "./a";'],
    [PLAIN, 'const a = await import("./a");'],
    [PLAIN, 'import { a } from "@/a.ts";'],
    [PLAIN, 'import { a } from "services/svrkit/a.ts";'],
    ["services/text/a.test.ts", 'import { a } from "./a";'],
  ]);
  expectTidy([
    [PLAIN, 'import {\n  a,\n  type B,\n} from "./a.ts";\nimport c from "zod";\nimport "node:fs";'],
    [PLAIN, 'import { Level } from "@scope/package";'],
    [PLAIN, '// import { a } from "./a";\nconst b = \'from "./b"\';'],
  ]);
});

test("tidy: imports against the direction are found", () => {
  expectFound("import-direction", [
    ["services/kvsvr/protocol/a.ts", 'import { b } from "node:fs";'],
    ["services/kvsvr/protocol/a.ts", 'import { b } from "zod";'],
    ["services/kvsvr/protocol/a.ts", 'import type { B } from "../storage/engine.ts";'],
    ["services/svrkit/admission/a.ts", 'import { b } from "../call.ts";'],
    ["operator/plan/a.ts", 'import { b } from "../observe/snapshot.ts";'],
    ["services/svrkit/a.ts", 'import { b } from "../kvsvr/client.ts";'],
    ["services/svrkit/a.ts", 'import { b } from "../queue/log.ts";'],
    ["services/text/a.ts", 'import { b } from "../kvsvr/replica.ts";'],
    ["services/text/a.ts", 'import { b } from "../platform/processes.ts";'],
    ["cli/commands/a.ts", 'import { b } from "../../services/kvsvr/replica.ts";'],
    ["sdk/a.ts", 'import { b } from "../services/access/session.ts";'],
    [PLAIN, 'import { b } from "../../sim/network.ts";'],
    [PLAIN, 'import { b } from "../svrkit/testing/clock.ts";'],
    [PLAIN, 'import { b } from "./engine.suite.ts";'],
    ["cli/main.ts", 'import { b } from "../bench/echo.ts";'],
  ]);
});

test("tidy: imports in the direction pass", () => {
  expectTidy([
    ["services/kvsvr/protocol/a.ts", 'import { b } from "./b.ts";\nimport "node:assert";'],
    ["services/kvsvr/protocol/a.ts", 'import { b } from "../../svrkit/murmur3.ts";'],
    ["services/kvsvr/protocol/a.ts", 'import { b } from "../../../protos/gen/b_codec.ts";'],
    ["services/kvsvr/protocol/a.test.ts", 'import { b } from "node:fs";'],
    ["services/kvsvr/replica.ts", 'import { b } from "./protocol/b.ts";'],
    ["services/text/a.ts", 'import { b } from "../svrkit/server.ts";'],
    ["services/text/a.ts", 'import { b } from "../kvsvr/client-cache.ts";'],
    ["services/text/a.ts", 'import { b } from "../account/ticket-client.ts";'],
    ["services/text/a.test.ts", 'import { b } from "../kvsvr/replica.ts";'],
    ["services/platform/main.ts", 'import { b } from "../kvsvr/replica.ts";'],
    ["cli/main.ts", 'import { b } from "../services/platform/start.ts";'],
    ["cli/main.ts", 'import { b } from "../sdk/client.ts";'],
    ["bench/echo.ts", 'import { b } from "../services/kvsvr/replica.ts";'],
  ]);
});

test("tidy: clock, chance and the process are found in pure folders, and only there", () => {
  const calls = [
    "const a = Date.now();",
    "const a = new Date();",
    "const a = performance.now();",
    "const a = Math.random();",
    "setTimeout(b, 1);",
    "setInterval(b, 1);",
    "setImmediate(b);",
    "const a = process.env;",
    "const a = crypto.randomUUID();",
  ];
  expectFound(
    "pure",
    calls.map((call) => ["services/kvsvr/protocol/a.ts", call] as const),
  );
  expectTidy(calls.map((call) => ["services/kvsvr/replica.ts", call] as const));
  expectTidy(calls.map((call) => ["services/kvsvr/protocol/a.test.ts", call] as const));
  expectTidy([
    ["services/kvsvr/protocol/a.ts", "// never Date.now()\nconst a = record.process.b;"],
    ["services/kvsvr/protocol/a.ts", "const a = new Date(now); const setTimeoutMs = 1;"],
  ]);
});

test("tidy: functions, files and lines have limits", () => {
  const body = (lines: number) => "  b();\n".repeat(lines);
  expectTidy([[PLAIN, `function a() {\n${body(68)}}\n`]]);
  expectFound("function-size", [
    [PLAIN, `function a() {\n${body(69)}}\n`],
    [PLAIN, `const a = () => {\n${body(69)}};\n`],
    ["services/text/a.test.ts", `test("a", () => {\n${body(69)}});\n`],
  ]);
  const inner = `  test("b", () => {\n${body(60)}  });\n`;
  expectTidy([["services/text/a.test.ts", `describe("a", () => {\n${inner}${inner}});\n`]]);
  expectFound("file-size", [[PLAIN, "a;\n".repeat(801)]]);
  expectTidy([[PLAIN, "a;\n".repeat(800)]]);
  expect(checkTidy([{ path: PLAIN, text: "a;\n".repeat(501) }])).toMatchObject([
    { rule: "file-size", isWarning: true },
  ]);
  expectFound("line-length", [[PLAIN, `// ${"a".repeat(118)}`]]);
  expectTidy([[PLAIN, `// ${"a".repeat(117)}`]]);
});

test("tidy: names that say nothing, or are no kebab-case, are found", () => {
  expectFound("name", [
    ["services/text/utils.ts", ""],
    ["services/text/test-helpers.ts", ""],
    ["services/common/a.ts", ""],
    ["services/text/slot-manager.ts", ""],
    ["services/text/slotMap.ts", ""],
    ["services/text/slot_map.ts", ""],
    ["services/textService/a.ts", ""],
    ["services/text/Main.ts", ""],
  ]);
  expectTidy([
    ["services/text/slot-map.test.ts", ""],
    ["services/text/main.ts", ""],
    ["services/kvsvr/storage/engine.suite.ts", ""],
    ["services/text/common-prefix.ts", ""],
    ["vitest.config.ts", ""],
  ]);
});

test("tidy: what was left behind is found", () => {
  expectFound("left-behind", [
    ["services/text/a.test.ts", 'test.only("a", b);'],
    ["services/text/a.test.ts", 'describe.skip("a", b);'],
    ["services/text/a.test.ts", 'test.concurrent.skip("a", b);'],
    [PLAIN, "// TODO: later"],
    [PLAIN, "a(); /* FIXME */"],
  ]);
  expectTidy([
    [PLAIN, 'reader.skip(4); const a = "TODO";'],
    [PLAIN, "// see HACKING.md"],
  ]);
});

test("tidy: generated code is left alone, and findings come sorted with their line", () => {
  const bad = 'const a = 1;\nimport { b } from "./b";\n// TODO\n';
  const files = ["services/text/b.ts", "protos/gen/a_pb.ts", "services/text/a.ts"];
  const findings = checkTidy(files.map((path) => ({ path, text: bad })));
  expect(findings.map(({ path, line }) => `${path}:${line}`)).toEqual([
    "services/text/a.ts:2",
    "services/text/a.ts:3",
    "services/text/b.ts:2",
    "services/text/b.ts:3",
  ]);
});

test("tidy: the operator decides in folders that do no I/O, each above the one before", () => {
  expectTidy([
    ["operator/plan/a.ts", 'import { b } from "../manifests/b.ts";\nimport "../api/c.ts";'],
    ["operator/manifests/a.ts", 'import { hash } from "node:crypto";\nimport "../api/c.ts";'],
    ["operator/plan/a.ts", 'import { stableJson } from "../kube/stable-json.ts";'],
    ["operator/reconcilers/a.ts", 'import { b } from "../kube/api-client.ts";'],
  ]);
  expectFound("import-direction", [
    ["operator/plan/a.ts", 'import { b } from "../kube/api-client.ts";'],
    ["operator/plan/a.ts", 'import { b } from "node:fs";'],
    ["operator/manifests/a.ts", 'import { b } from "../plan/b.ts";'],
    ["operator/api/a.ts", 'import { b } from "../manifests/b.ts";'],
    ["operator/observe/a.ts", 'import { b } from "../../services/kvsvr/replica.ts";'],
  ]);
  expectFound("pure", [["operator/plan/a.ts", "const a = Date.now();"]]);
});
