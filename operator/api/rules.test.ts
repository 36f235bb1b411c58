/** Rules that the API server checks must be known to the oldest one that the chart lets itself be installed on. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { customResourceDefinition, KINDS } from "./custom-resource.ts";
import { NETWORK_FORM } from "./network-form.ts";

/**
 * What rules may call. A server takes in new rules what the release before it knew already, so 1.30 what came
 * until 1.29: not isIP, ip, isCIDR, cidr, format, isSemver or two variables in all and exists.
 */
const OLDEST = ">=1.30.0-0";
const KNOWN = [
  ...["has", "all", "exists", "exists_one", "filter", "map", "size"],
  ...["contains", "startsWith", "endsWith", "matches", "int", "string", "quantity", "compareTo"],
];
const TWO_VARIABLES = /\.(all|exists|exists_one)\(\s*\w+\s*,\s*\w+\s*,/;

function rulesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { rule, ...rest } = value as { rule?: unknown };
  return [...(typeof rule === "string" ? [rule] : []), ...Object.values(rest).flatMap(rulesIn)];
}

const rules = KINDS.flatMap((kind) => rulesIn(customResourceDefinition(kind)));
const withoutTexts = (rule: string) => rule.replaceAll(/'[^']*'|"[^"]*"/g, "''");

test("rules: they call only what the oldest Kubernetes of the chart knows", () => {
  const chart = readFileSync(
    join(import.meta.dirname, "../../charts/tricampus/Chart.yaml"),
    "utf8",
  );
  expect(chart).toContain(`kubeVersion: "${OLDEST}"`);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    const code = withoutTexts(rule);
    for (const [, name] of code.matchAll(/(\w+)\s*\(/g)) expect(KNOWN, rule).toContain(name);
    expect(code).not.toMatch(TWO_VARIABLES);
  }
});

test.each(["dataCenter", "number", "name", "zone", "id", "layout", "kind", "tls.mode"])(
  "rules: %s is for life",
  (what) => {
    const all = KINDS.map((kind) => JSON.stringify(customResourceDefinition(kind))).join("\n");
    const rule = {
      rule: "self == oldSelf",
      message: `${what} cannot be changed: make a new object`,
    };
    expect(all).toContain(JSON.stringify(rule));
  },
);

test("rules: an act on the queue's logs names a campus that there is", () => {
  expect(rules).toContain(
    "!has(self.replaceLogs) || self.campuses.exists(c, c.name == self.replaceLogs.campus)",
  );
});

const network = new RegExp(NETWORK_FORM);

test("rules: a network is judged by its form", () => {
  expect(rules).toContain(`self.matches('${NETWORK_FORM}')`);
});

function isNetwork(text: string): boolean {
  const [, address = "", length = ""] = /^([^/%]*)\/(0|[1-9][0-9]*)$/.exec(text) ?? [];
  const version = isIP(address);
  const isMapped = version === 6 && address.includes(".");
  return (
    version !== 0 && !isMapped && length !== "" && Number(length) <= (version === 4 ? 32 : 128)
  );
}

test.each([
  ["10.20.0.0/16", true],
  ["0.0.0.0/0", true],
  ["fd00:20::/32", true],
  ["::/0", true],
  ["1:2:3:4:5:6:7::/112", true],
  ["10.0.0.7", false],
  ["10.0.0.300/16", false],
  ["10.0.0/16", false],
  ["10.00.0.0/16", false],
  ["10.20.0.0/33", false],
  ["10.20.0.0/016", false],
  ["1:2/64", false],
  ["1:2:3:4:5:6:7:8::/128", false],
  ["fd00::1::/64", false],
  ["fd00::/129", false],
  ["fe80::1%eth0/64", false],
  ["x10.20.0.0/16", false],
  ["10.20.0.0/16 ", false],
])("rules: %j is a network: %s", (text, taken) => {
  expect(network.test(text)).toBe(taken);
  expect(isNetwork(text)).toBe(taken);
});

test("rules: every address of up to nine pieces, and its gap anywhere, is judged as what it is", () => {
  for (let pieces = 0; pieces <= 9; pieces++)
    for (let gap = 0; gap <= pieces; gap++)
      for (const between of [":", "::", ":::"]) {
        const names = Array.from({ length: pieces }, (_, i) => `${i}f`);
        const text = `${names.slice(0, gap).join(":")}${between}${names.slice(gap).join(":")}/64`;
        expect(network.test(text), text).toBe(isNetwork(text));
      }
});
