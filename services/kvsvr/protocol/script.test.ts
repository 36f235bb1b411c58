/**
 * The protocol's scripts: testdata/*.txt, one situation a file. `REWRITE=1` writes what the code does
 * now into the files: commit only what you understand.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ScriptedKey } from "../testing/script.ts";

const dir = join(import.meta.dirname, "testdata");

for (const name of readdirSync(dir).filter((file) => file.endsWith(".txt"))) {
  test(`protocol script: ${name}`, () => {
    const path = join(dir, name);
    const text = readFileSync(path, "utf8");
    const actual = play(text);
    if (process.env["REWRITE"] === "1") writeFileSync(path, actual);
    else expect(actual).toBe(text);
  });
}

/** The script with every expectation replaced by what really happens. */
function play(text: string): string {
  const key = new ScriptedKey();
  const out: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("  ")) continue; // an expectation
    out.push(line);
    if (line === "" || line.startsWith("#")) continue;
    for (const shown of resultOf(() => key.run(line)).split("\n")) out.push(`  ${shown}`);
  }
  return out.join("\n");
}

function resultOf(run: () => string): string {
  try {
    return run();
  } catch (error) {
    return `STOPS: ${(error as Error).message.split(":").slice(0, 2).join(":")}`;
  }
}
