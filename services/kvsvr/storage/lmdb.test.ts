import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineSuite } from "./engine.suite.ts";
import { openLmdb } from "./lmdb.ts";

engineSuite("lmdb", () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-lmdb-"));
  return { engine: openLmdb(dir), cleanUp: () => rmSync(dir, { recursive: true, force: true }) };
});
