/** The rules that look at one file: language, purity, sizes, names and things left behind. */
import type { Finding } from "./finding.ts";
import { measureFunctions } from "./functions.ts";
import { pureFolderOf } from "./imports.ts";
import { closingBracket, lineOf, type MaskedSource } from "./source.ts";

const FUNCTION_LINES_MAX = 70;
const FILE_LINES_WISHED = 500;
const FILE_LINES_MAX = 800;
const LINE_LENGTH_MAX = 120;

interface Pattern {
  find: RegExp;
  message: string;
}

/** What Node's type stripping cannot run, and decorators, which it leaves in place to fail. */
const NOT_ERASABLE: Pattern[] = [
  {
    find: /(?<![\w$.])enum\s+[A-Za-z_$][\w$]*\s*\{/g,
    message: "enum is not erasable; use an `as const` object or a union of string literals",
  },
  {
    find: /(?<![\w$.])(?:namespace|module)\s+[A-Za-z_$][\w$.]*\s*\{/g,
    message: "namespace is not erasable; a file is a namespace already",
  },
  {
    find: /(?<![\w$.])import\s+(?:type\s+)?[A-Za-z_$][\w$]*\s*=[^=>]/g,
    message: "`import x =` is not erasable; use an import from",
  },
  { find: /(?<![\w$.])export\s*=[^=>]/g, message: "`export =` is not erasable; export by name" },
  { find: /@[A-Za-z_$]/g, message: "decorators do not survive type stripping; call the function" },
];

const IMPURE: Pattern[] = [
  { find: /(?<![\w$])Date\s*\.\s*now\b/g, message: "Date.now: pass `now` as an argument" },
  { find: /(?<![\w$])new\s+Date\s*(?:\(\s*\)|(?![\w$\s(]))/g, message: "new Date(): pass `now`" },
  { find: /(?<![\w$.])performance\s*\./g, message: "performance: pass `now` as an argument" },
  { find: /(?<![\w$])Math\s*\.\s*random\b/g, message: "Math.random: pass a seeded generator" },
  {
    find: /(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    message: "timers belong to the driver; return an effect",
  },
  { find: /(?<![\w$.])process\s*\./g, message: "process: pass what is needed as an argument" },
  {
    find: /(?<![\w$.])(?:crypto\s*\.|globalThis\b)/g,
    message: "crypto and globalThis: pass what is needed as an argument",
  },
];

const LEFT_BEHIND_CALL: Pattern = {
  find: /(?<![\w$.])(?:describe|suite|it|test|bench)(?:\.\w+)*\.(?:only|skip|todo)\b/g,
  message: "a test that is alone, skipped or still to come hides others; finish or remove it",
};
const LEFT_BEHIND_NOTE: Pattern = {
  find: /\b(?:FIXME|TODO|XXX|HACK)\b/g,
  message: "a note to oneself; do it now, or put it into the issue",
};

const NAMES_THAT_SAY_NOTHING = /^(?:utils?|helpers?|misc|managers?)$/;

export function checkErasable(path: string, source: MaskedSource): Finding[] {
  const findings = matches(path, source, source.code, "erasable", NOT_ERASABLE);
  for (const match of source.code.matchAll(/(?<![\w$.])constructor\s*(?=\()/g)) {
    const open = match.index + match[0].length;
    for (const offset of parameterStarts(source.code, open)) {
      const property = /^\s*(?:public|private|protected|readonly|override)\s+[A-Za-z_$]/;
      if (!property.test(source.code.slice(offset, offset + 80))) continue;
      const line = lineOf(source.text, offset);
      const message = "a parameter property is not erasable; declare the field and assign it";
      findings.push({ path, line, rule: "erasable", message });
    }
  }
  return findings;
}

/** Where the parameters behind an opening parenthesis start. */
function parameterStarts(code: string, open: number): number[] {
  const starts = [open + 1];
  const end = closingBracket(code, open);
  let depth = 0;
  for (let at = open; at < end; at += 1) {
    const c = code[at]!;
    if ("([{<".includes(c)) depth += 1;
    else if (")]}".includes(c) || (c === ">" && code[at - 1] !== "=")) depth -= 1;
    else if (c === "," && depth === 1) starts.push(at + 1);
  }
  return starts;
}

export function checkPurity(path: string, source: MaskedSource): Finding[] {
  if (pureFolderOf(path) === undefined) return [];
  return matches(path, source, source.code, "pure", IMPURE);
}

export function checkSizes(path: string, source: MaskedSource): Finding[] {
  const findings: Finding[] = [];
  const isTest = /\.(?:test|suite)\.ts$/.test(path);
  for (const { name, line, lines, ownLines } of measureFunctions(source)) {
    const counted = isTest ? ownLines : lines;
    if (counted <= FUNCTION_LINES_MAX) continue;
    const message = `${name} has ${counted} lines; ${FUNCTION_LINES_MAX} are the limit`;
    findings.push({ path, line, rule: "function-size", message });
  }
  const texts = source.text.replace(/\n$/, "").split("\n");
  for (const [index, text] of texts.entries()) {
    if (text.length <= LINE_LENGTH_MAX) continue;
    const message = `${text.length} characters; ${LINE_LENGTH_MAX} are the limit`;
    findings.push({ path, line: index + 1, rule: "line-length", message });
  }
  return [...findings, ...checkFileSize(path, texts.length)];
}

function checkFileSize(path: string, lines: number): Finding[] {
  if (lines <= FILE_LINES_WISHED) return [];
  const rule = "file-size";
  if (lines > FILE_LINES_MAX) {
    return [{ path, line: 1, rule, message: `${lines} lines; ${FILE_LINES_MAX} are the limit` }];
  }
  const message = `${lines} lines; at most ${FILE_LINES_WISHED} are wished for`;
  return [{ path, line: 1, rule, message, isWarning: true }];
}

export function checkNames(path: string): Finding[] {
  const findings: Finding[] = [];
  const report = (message: string) => findings.push({ path, line: 1, rule: "name", message });
  const parts = path.split("/");
  for (const part of parts) {
    const stem = part.split(".")[0]!;
    if (stem === "common" || stem.split("-").some((word) => NAMES_THAT_SAY_NOTHING.test(word))) {
      report(`"${part}" does not say what is in it; name the thing itself`);
    }
  }
  const folders = parts.slice(0, -1);
  const file = parts.at(-1)!;
  const isKebab =
    folders.every((folder) => /^\.?[a-z0-9]+(?:-[a-z0-9]+)*$/.test(folder)) &&
    /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|e2e|suite|bench|fuzz|config|d))?\.ts$/.test(file);
  if (!isKebab) report("files and folders are named in kebab-case, like slot-moves.test.ts");
  return findings;
}

export function checkLeftBehind(path: string, source: MaskedSource): Finding[] {
  return [
    ...matches(path, source, source.code, "left-behind", [LEFT_BEHIND_CALL, LEFT_BEHIND_NOTE]),
    ...matches(path, source, source.comments, "left-behind", [LEFT_BEHIND_NOTE]),
  ];
}

function matches(
  path: string,
  source: MaskedSource,
  where: string,
  rule: string,
  patterns: readonly Pattern[],
): Finding[] {
  return patterns.flatMap(({ find, message }) =>
    [...where.matchAll(find)].map((match) => {
      return { path, line: lineOf(source.text, match.index), rule, message };
    }),
  );
}
