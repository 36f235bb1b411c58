import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkConfig } from "./config.ts";
import { limitsSchema } from "./limits-schema.ts";

test("config: nothing said gives three campuses in the compact layout", () => {
  const config = checkConfig({});
  expect(config).toMatchObject({ dc: 1, campuses: ["a", "b", "c"], layout: "compact" });
  expect(config.dataDir).toMatch(/^\/.*data$/);
});

describe("config: what contradicts itself is one line that names the field", () => {
  const cases: [about: string, input: unknown, message: string][] = [
    ["no object", 7, "the configuration: "],
    ["dc too large", { dc: 256 }, "dc: must be a whole number, 0 to 255"],
    ["dc not whole", { dc: 1.5 }, "dc: must be a whole number"],
    ["two campuses", { campuses: ["a", "b"] }, "campuses: a data centre has exactly three"],
    ["four campuses", { campuses: ["a", "b", "c", "d"] }, "campuses: a data centre has exactly"],
    ["a campus twice", { campuses: ["a", "b", "a"] }, 'campuses.2: "a" is there twice'],
    ["a campus that is a path", { campuses: ["a", "b", "../c"] }, "campuses.2: a campus is named"],
    ["unknown layout", { layout: "wide" }, "layout: "],
    ["unknown field", { layuot: "split" }, "layuot: there is no such field; there are dc, camp"],
    ["unknown service", { options: { txet: {} } }, "options.txet: there is no such service"],
    ["port of no campus", { ports: { "d/kvsvr": 7500 } }, "ports.d/kvsvr: name it campus/service"],
    ["port of no service", { ports: { "a/kv": 7500 } }, "ports.a/kv: name it campus/service"],
    ["privileged port", { basePort: 80 }, "basePort: must be a whole number, 1024 to 65235"],
    ["no room above", { basePort: 65_500 }, "basePort: must be a whole number, 1024 to 65235"],
    ["too many KV groups", { kvGroups: 9 }, "kvGroups: must be a whole number, 1 to 8"],
    [
      "one port twice",
      { ports: { "a/kvsvr": 7500, "b/kvsvr": 7500 } },
      "ports.b/kvsvr: 7500 would serve both a/kvsvr and b/kvsvr",
    ],
    [
      "a port that the scheme gives to another",
      { ports: { "a/access": 7102 } },
      "ports.a/access: 7102 would serve both a/access and a/kvsvr",
    ],
  ];
  test.each(cases)("%s", (_about, input, message) => {
    const check = () => checkConfig(input);
    expect(check).toThrow(message);
    expect(check).toThrow(/^[^\n]+$/);
  });
});

describe("docs/configuration.md", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const fieldsIn = (text: string) => [...text.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1]!);
  const [configuration = "", limits = ""] = page.split("## limits.json");

  test("names every field, and no other", () => {
    expect(fieldsIn(configuration)).toEqual(Object.keys(checkConfig({})));
    expect(fieldsIn(limits)).toEqual(Object.keys(limitsSchema.shape));
  });

  test("shows an example of every field that can be used", () => {
    const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(configuration)![1]!);
    expect(Object.keys(checkConfig(example))).toEqual(Object.keys(example));
  });
});
