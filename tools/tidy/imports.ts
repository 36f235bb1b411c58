/**
 * Who may import whom.
 *
 * Imports point one way: main -> service code -> svrkit, the clients of kvsvr and queue -> protos.
 * Folders of pure decisions (`protocol/`, `plan/`, `admission/`) import nothing that does I/O.
 * Tests, benchmarks and tools stand outside and may import anything; nobody imports them.
 * Types count like values: a folder that knows another one's inner types is tied to its inside.
 */
import { dirname, join } from "node:path/posix";
import type { Finding } from "./finding.ts";
import { lineOf, type MaskedSource } from "./source.ts";

/** Files outside that do no I/O: pure folders may use them. */
const PURE_PARTS: ReadonlySet<string> = new Set([
  "operator/kube/object.ts",
  "operator/kube/owned-fields.ts",
  "operator/kube/stable-json.ts",
  "operator/plan/capacity.ts",
  "services/data/message/client.ts",
  "services/logic/hook-schema.ts",
  "services/platform/limits-schema.ts",
  "services/platform/pod/files.ts",
  "services/platform/services.ts",
  "services/platform/usual-callers.ts",
  "services/svrkit/tls/identity.ts",
  "services/svrkit/murmur3.ts",
  "services/svrkit/codec.ts",
  "services/svrkit/known-disk.ts",
  "services/svrkit/failover/shards.ts",
]);

interface Import {
  specifier: string;
  line: number;
}

const PURE_FOLDERS = new Set(["protocol", "plan", "admission"]);
/** The operator decides in three folders, each above the one before. */
const OPERATOR_PURE = ["operator/api", "operator/manifests", "operator/plan"];
const MODULES_PURE = new Set(["node:buffer", "node:assert", "node:assert/strict"]);
/** Schemas compute, and digests too. */
const OPERATOR_MODULES_PURE = new Set(["zod", "node:crypto"]);
const OUTSIDE_PRODUCTION = new Set(["sim", "torture", "bench", "e2e", "tools"]);
/** The parts that reach services only through protos, svrkit, clients and the platform's wiring. */
const OUTSIDE_SERVICES = new Set(["cli", "sdk", "operator", "console"]);
const TOP_FOLDERS = [...OUTSIDE_PRODUCTION, ...OUTSIDE_SERVICES, "services", "protos"];

function findImports(source: MaskedSource): Import[] {
  const imports: Import[] = [];
  const forms = /\bfrom\s*(["'])|\bimport\s*\(\s*(["'`])|(?:^|[;\n])\s*import\s*(["'])/g;
  for (const match of source.code.matchAll(forms)) {
    const quote = match[1] ?? match[2] ?? match[3]!;
    const start = match.index + match[0].length;
    const specifier = source.text.slice(start, source.code.indexOf(quote, start));
    imports.push({ specifier, line: lineOf(source.text, start) });
  }
  return imports;
}

/** Tests, suites, fakes and what stands outside production: free in what they import. */
function isOutsideProduction(path: string): boolean {
  const folders = path.split("/").slice(0, -1);
  return (
    /\.(?:test|e2e|suite|bench|fuzz|config)\.ts$/.test(path) ||
    folders.includes("testing") ||
    OUTSIDE_PRODUCTION.has(folders[0] ?? "")
  );
}

/** The innermost folder of pure decisions that holds a production file. */
export function pureFolderOf(path: string): string | undefined {
  if (isOutsideProduction(path)) return undefined;
  const folders = path.split("/").slice(0, -1);
  const operator = OPERATOR_PURE.find((folder) => path.startsWith(`${folder}/`));
  if (operator !== undefined) return operator;
  const at = folders.findLastIndex((folder) => PURE_FOLDERS.has(folder));
  return at < 0 ? undefined : folders.slice(0, at + 1).join("/");
}

export function checkImports(path: string, source: MaskedSource): Finding[] {
  const findings: Finding[] = [];
  for (const { specifier, line } of findImports(source)) {
    const form = checkForm(specifier);
    if (form !== undefined) findings.push({ path, line, rule: "import-form", message: form });
    const direction = form ?? checkDirection(path, specifier);
    if (form === undefined && direction !== undefined) {
      findings.push({ path, line, rule: "import-direction", message: direction });
    }
  }
  return findings;
}

function checkForm(specifier: string): string | undefined {
  if (isRelative(specifier)) {
    if (/\.(?:ts|json)$/.test(specifier)) return undefined;
    return `"${specifier}": a relative import ends in .ts`;
  }
  const first = specifier.split("/")[0]!;
  if (/^[~#]/.test(specifier) || first === "@" || first === "" || TOP_FOLDERS.includes(first)) {
    return `"${specifier}": Node knows no path aliases; import the file by its relative path`;
  }
  return undefined;
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith("./") || specifier.startsWith("../");
}

function checkDirection(path: string, specifier: string): string | undefined {
  if (isOutsideProduction(path)) return undefined;
  const pureFolder = pureFolderOf(path);
  if (pureFolder !== undefined) return checkPure(path, specifier, pureFolder);
  if (!isRelative(specifier)) return undefined;
  const target = join(dirname(path), specifier);
  if (isOutsideProduction(target)) {
    return `"${specifier}": production code imports no test, fake, simulation or benchmark`;
  }
  return checkServices(path, target, specifier);
}

function checkPure(path: string, specifier: string, folder: string): string | undefined {
  if (MODULES_PURE.has(specifier)) return undefined;
  const rank = OPERATOR_PURE.indexOf(folder);
  if (rank >= 0 && OPERATOR_MODULES_PURE.has(specifier)) return undefined;
  if (isRelative(specifier)) {
    const target = join(dirname(path), specifier);
    const inside = target.startsWith(`${folder}/`) && !isOutsideProduction(target);
    if (inside || target.startsWith("protos/gen/")) return undefined;
    if (PURE_PARTS.has(target)) return undefined;
    const below = OPERATOR_PURE.findIndex((other) => target.startsWith(`${other}/`));
    if (below >= 0 && below < rank) return undefined;
  }
  return `"${specifier}": ${folder}/ is pure, it imports only itself, protos/gen, murmur3 and codec`;
}

function checkServices(path: string, target: string, specifier: string): string | undefined {
  const to = serviceOf(target);
  if (to === undefined) return undefined;
  const top = path.split("/")[0]!;
  const from = serviceOf(path);
  if (from === to || from === "platform" || to === "svrkit" || isDoor(target)) {
    if (from !== "svrkit" || to === "svrkit") return undefined;
  }
  if (from === "svrkit")
    return `"${specifier}": svrkit stands under every service, it imports none`;
  if (from !== undefined) {
    return `"${specifier}": ${from} reaches ${to} through its client or protos, not its inside`;
  }
  if (!OUTSIDE_SERVICES.has(top) || to === "platform") return undefined;
  return `"${specifier}": ${top}/ reaches services through protos, clients and services/platform`;
}

/** The folder below services/ that a file belongs to. */
function serviceOf(path: string): string | undefined {
  const [top, service, ...rest] = path.split("/");
  return top === "services" && rest.length > 0 ? service : undefined;
}

/** The files of a service that are made for others. */
function isDoor(target: string): boolean {
  if (/(?:\/|-)client\.ts$/.test(target)) return true;
  return /^services\/(?:kvsvr|queue)\/client[^/]*\.ts$/.test(target);
}
