/**
 * Builds the package: `node sdk/build.ts [folder]`. One file for browsers, which needs nothing of Node, one
 * for Node, and the declarations of both.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { build } from "vite";

const out = process.argv[2] ?? join(import.meta.dirname, "dist");

for (const name of ["browser", "node"] as const) {
  await build({
    configFile: false,
    logLevel: "warn",
    root: import.meta.dirname,
    resolve: { alias: { "node:buffer": join(import.meta.dirname, "utf8.ts") } },
    ...(name === "node" && { ssr: { noExternal: true }, resolve: {} }),
    build: {
      outDir: out,
      emptyOutDir: false,
      minify: false,
      target: "es2023",
      ...(name === "node" && { ssr: true }),
      lib: { entry: join(import.meta.dirname, `${name}.ts`), formats: ["es"], fileName: name },
    },
  });
}
execFileSync("tsc", ["-p", join(import.meta.dirname, "tsconfig.json"), "--outDir", out], {
  stdio: "inherit",
});
