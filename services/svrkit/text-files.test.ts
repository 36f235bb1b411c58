import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-texts-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const MODULE = JSON.stringify(new URL("./text-files.ts", import.meta.url).href);

/** In a process whose files may not grow beyond 32 KiB: as on a nearly full disk, a write takes a part. */
function inLittleSpace(statement: string): string {
  const script = `import { systemTextFiles as files } from ${MODULE};
    const path = ${JSON.stringify(join(dir, "slots.json"))};
    try { ${statement}; console.log("replaced") } catch (error) { console.log(error.code) }`;
  const limited = 'ulimit -f 64 && exec "$0" --input-type=module -e "$1"';
  return execFileSync("sh", ["-c", limited, process.execPath, script], { encoding: "utf8" }).trim();
}

test("text files: what has no room does not take the old text's place (100 KB into 32 KiB)", () => {
  const path = join(dir, "slots.json");
  writeFileSync(path, "as it was");
  const large = `"x".repeat(100_000)`;
  expect(inLittleSpace(`files.replace(path, ${large})`)).toBe("EFBIG");
  expect(readFileSync(path, "utf8")).toBe("as it was");
  expect(inLittleSpace(`await files.replaceSoon(path, ${large})`)).toBe("EFBIG");
  expect(readFileSync(path, "utf8")).toBe("as it was");
  expect(inLittleSpace(`files.replace(path, "small enough")`)).toBe("replaced");
  expect(readFileSync(path, "utf8")).toBe("small enough");
});
