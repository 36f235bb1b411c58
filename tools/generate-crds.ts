/**
 * Writes crds/ from the schemas in operator/api, and the chart's copy of it. With --check nothing is
 * written: what differs is named.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { customResourceDefinition, KINDS } from "../operator/api/custom-resource.ts";

const HEAD = "# Generated from operator/api by `make gen`.\n";
/** Helm installs what lies in a chart's crds/ before everything else. */
const FOLDERS = ["crds", "charts/tricampus/crds"];

function main(): void {
  const root = join(import.meta.dirname, "..");
  const isCheck = process.argv.includes("--check");
  const stale: string[] = [];
  for (const kind of KINDS) {
    const text =
      HEAD + stringify(customResourceDefinition(kind), { lineWidth: 110, version: "1.1" });
    for (const folder of FOLDERS) {
      const path = `${folder}/${kind.plural}.yaml`;
      if (readIfThere(join(root, path)) === text) continue;
      stale.push(path);
      if (isCheck) continue;
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  }
  if (!isCheck || stale.length === 0) return;
  for (const path of stale) console.log(`${path}: stale`);
  console.log("crds: they differ from operator/api; run `make gen`");
  process.exitCode = 1;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

main();
