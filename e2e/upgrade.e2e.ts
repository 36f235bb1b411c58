/**
 * Two versions side by side: a platform of the previous landing (the commit in `previous-landing`) is
 * taken over campus by campus, and back once, while people write. Formats on the disk and on the wire,
 * the command line's doors and the client's frames must each be understood by both.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CHEAP_PASSWORDS, tricampus } from "../cli/testing/own-platform.ts";
import { checkConfig } from "../services/platform/config.ts";
import { findBasePort } from "../services/platform/free-ports.ts";

const NEW = fileURLToPath(new URL("..", import.meta.url));
const PREVIOUS = readFileSync(new URL("previous-landing", import.meta.url), "utf8").trim();

const dir = mkdtempSync(join(tmpdir(), "tricampus-upgrade-"));
const OLD = join(dir, "code");
const dataDir = join(dir, "data");

const run = async (code: string, ...args: string[]) => {
  // A device's store is its own version's: an older client begins with an empty one.
  if (code === OLD) forgetDeviceStores();
  const result = await tricampus(dataDir, args, { code });
  const version = code === OLD ? "the old version" : "the new version";
  const said = `${result.stderr}${result.stdout}`;
  expect(result.code, `${version}: ${args.join(" ")}: ${said}`).toBe(0);
  return result.stdout;
};

function forgetDeviceStores(): void {
  const cli = join(dataDir, "cli");
  if (!existsSync(cli)) return;
  for (const name of readdirSync(cli)) if (name.endsWith(".store")) rmSync(join(cli, name));
}

beforeAll(async () => {
  mkdirSync(OLD);
  const archive = execFileSync("git", ["-C", NEW, "archive", PREVIOUS], {
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync("tar", ["-x", "-C", OLD], { input: archive });
  symlinkSync(join(NEW, "node_modules"), join(OLD, "node_modules"));
  const config = join(dir, "config.json");
  const basePort = await findBasePort(checkConfig({ dataDir }));
  writeFileSync(config, JSON.stringify({ basePort, options: CHEAP_PASSWORDS }));
  await run(OLD, "up", "--config", config);
  for (const name of ["ann", "bob"])
    await run(OLD, "user", "register", name, "--password", "correct-horse");
});

afterAll(async () => {
  await tricampus(dataDir, ["down"]);
  rmSync(dir, { recursive: true, force: true });
});

let sent = 0;

/** What one version writes the other one reads. The old one is asked while a campus of its is left. */
async function expectWell(other: string): Promise<void> {
  for (const [writer, reader] of [
    [other, NEW],
    [NEW, other],
  ] as const) {
    sent += 1;
    await run(writer, "send", "ann", `message ${sent}`, "--to", "bob");
    expect(await run(reader, "sync", "bob")).toContain(`message ${sent}`);
    await run(writer, "kv", "put", "control", `key ${sent}`, `value ${sent}`);
    expect(await run(reader, "kv", "get", "control", `key ${sent}`)).toContain(`value ${sent}`);
    await run(writer, "kv", "verify");
  }
  for (let n = 1; n <= sent; n++)
    expect(await run(NEW, "kv", "get", "control", `key ${n}`)).toContain(`value ${n}`);
}

/** A campus changes its version in the hardest way, by kill -9, while conversations go on. */
async function change(campus: string, code: string): Promise<void> {
  const logs = ["demo/kitchen.txt", "demo/harbour.txt"].map((name) => join(NEW, name));
  const replaying = run(NEW, "replay", ...logs, "--limit", "60", "--over", "6");
  await run(NEW, "campus", "kill", campus);
  await run(code, "campus", "start", campus);
  await replaying;
}

test("a platform of the previous landing is upgraded campus by campus, and back, in use", async () => {
  await expectWell(OLD);
  for (const [campus, code] of [
    ["b", NEW],
    ["b", OLD],
    ["b", NEW],
    ["a", NEW],
    ["c", NEW],
  ] as const) {
    await change(campus, code);
    await expectWell(campus === "c" ? NEW : OLD);
  }
});
