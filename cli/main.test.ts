/** The command line where no platform is: every way to be wrong, and what it never touches. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tricampus } from "./testing/own-platform.ts";

describe("tricampus without a platform", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "tricampus-cli-"));
    writeFileSync(join(dir, "twice.json"), '{"campuses": ["a", "b", "b"]}');
    writeFileSync(join(dir, "broken.json"), "{");
    mkdirSync(join(dir, "empty"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const cases: [args: string, code: number, says: RegExp][] = [
    ["dance", 2, /unknown command 'dance'/],
    ["campus kill", 2, /missing required argument 'campus'; see `tricampus campus kill --help`/],
    ["campus", 2, /name a command; see `tricampus campus --help`/],
    ["help nosuch", 2, /name a command; see `tricampus --help`/],
    ["up --layuot split", 2, /unknown option '--layuot'/],
    ["up --layout wide", 2, /--layout wide: must be one of compact, modules, split/],
    ["up --base-port 80", 2, /--base-port 80: must be a whole number, 1024 to 65235/],
    ["up --base-port 99999", 2, /--base-port 99999: .* 1024 to 65235/],
    ["up --config DIR/twice.json", 2, /campuses\.2: "b" is there twice/],
    ["up --config DIR/broken.json", 2, /--config .*broken\.json: /],
    ["up --config DIR/nothing.json", 2, /--config .*nothing\.json: /],
    ["status", 3, /no platform was started in .*run `tricampus up`/],
    ["--data-dir DIR/empty status", 3, /run `tricampus up --data-dir .*\/empty`/],
    ["campus kill b", 3, /no platform was started/],
    ["campus block b --for 1m --why drill", 3, /no platform was started/],
    ["campus unblock b", 3, /no platform was started/],
    ["campus audit", 3, /no platform was started/],
    ["user register ann --password correct-horse", 3, /no platform was started/],
    ["replay DIR/nothing.txt", 2, /nothing\.txt is no file/],
    ["replay DIR/twice.json --at 30%", 2, /--at and --back-at go with/],
    ["replay DIR/twice.json --kill-campus a --cut-campus b", 2, /one campus at a time/],
    ["conversation history ann bob", 2, /"bob" is no conversation's id: .*conversation list ann`/],
    ["message recall ann a-friend 3", 2, /"a-friend" is no conversation's id/],
    ["user register ann --password correct-horse --endpoints a=7100", 2, /--endpoints: "a=7100"/],
    ["user register ann --password correct-horse --endpoints a=ws://127.0.0.1:9", 3, /./],
  ];
  test.each(cases)(
    "%s: one line, exit code %i",
    async (args, code, says) => {
      const words = args.replaceAll("DIR", dir).split(" ");
      const result = await tricampus(join(dir, "empty"), words);
      expect(result.stderr).toMatch(says);
      expect(result.stderr).toMatch(/^tricampus: [^\n]+\n$/);
      expect(result.code).toBe(code);
    },
    60_000,
  );

  test("clean: a folder that is no platform's is not touched", async () => {
    const result = await tricampus(dir, ["clean"]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("is not the data folder of a platform");
    expect(readFileSync(join(dir, "broken.json"), "utf8")).toBe("{");
  });

  test("--version is the package's, and not what a command's own --version means", async () => {
    expect((await tricampus(dir, ["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const cas = await tricampus(join(dir, "empty"), "kv cas control k v --version 1".split(" "));
    expect(cas).toMatchObject({ code: 3, stdout: "" });
  }, 60_000);

  test("--help names the exit codes", async () => {
    const { code, stdout } = await tricampus(dir, ["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("Exit codes: 0 done;");
    expect(stdout).toContain("--version");
  });
});
