/**
 * Finds the functions of a masked source and how many lines each takes.
 *
 * A function is found by its body: a brace behind `=>`, behind the head of a `function`, or behind
 * the head of a method; a head may carry a return type with braces of its own. In a test file a
 * `describe` or a suite spans the whole file by its nature, so there the lines of inner functions
 * are not counted for the outer one.
 */
import { closingBracket, lineOf, type MaskedSource } from "./source.ts";

export interface MeasuredFunction {
  name: string;
  /** Line of its name, or of the brace for an arrow function. */
  line: number;
  lines: number;
  /** Lines less those of functions inside it. */
  ownLines: number;
}

interface Span {
  name: string;
  start: number;
  body: number;
  end: number;
}

const NOT_A_METHOD = new Set(
  "if for while switch catch with return await typeof new super import function".split(" "),
);

export function measureFunctions(source: MaskedSource): MeasuredFunction[] {
  const spans = [...arrowSpans(source.code), ...headSpans(source.code)];
  spans.sort((a, b) => a.start - b.start || b.end - a.end);
  return spans.map((span) => {
    const lines = linesOf(source.text, span);
    const ownLines = lines - innermostLines(source.text, span, spans);
    return { name: span.name, line: lineOf(source.text, span.start), lines, ownLines };
  });
}

function linesOf(text: string, span: Span): number {
  return lineOf(text, span.end - 1) - lineOf(text, span.start) + 1;
}

/** Lines of the functions directly inside a span; those on one line take none of it away. */
function innermostLines(text: string, outer: Span, spans: readonly Span[]): number {
  let total = 0;
  let behind = outer.body;
  for (const span of spans) {
    if (span === outer || span.start < behind || span.end > outer.end) continue;
    total += Math.max(0, linesOf(text, span) - 1);
    behind = span.end;
  }
  return total;
}

function arrowSpans(code: string): Span[] {
  const spans: Span[] = [];
  for (const match of code.matchAll(/=>\s*\{/g)) {
    const body = match.index + match[0].length - 1;
    spans.push({ name: "arrow function", start: body, body, end: closingBracket(code, body) });
  }
  return spans;
}

/** `function name(`, `name(` and `name<T>(`, where a body follows the parameters. */
function headSpans(code: string): Span[] {
  const spans: Span[] = [];
  const head = /(?:(?<![\w$.#])(function\s*\*?\s*)?(#?[A-Za-z_$][\w$]*)?|(\]))\s*(?=[(<])/g;
  for (const match of code.matchAll(head)) {
    const [whole, isFunction, name = match[3]] = match;
    if (isFunction === undefined && !canBeMethod(code, match.index, name)) continue;
    const open = parametersAt(code, match.index + whole.length);
    if (open === undefined) continue;
    const body = bodyAt(code, closingBracket(code, open));
    if (body === undefined) continue;
    const title = name === undefined || name === "]" ? "function" : name;
    spans.push({ name: title, start: match.index, body, end: closingBracket(code, body) });
  }
  return spans;
}

function canBeMethod(code: string, start: number, name: string | undefined): boolean {
  if (name === undefined || NOT_A_METHOD.has(name)) return false;
  // `class A extends mixin(B) {` and `new A() {` are no methods.
  return !/(?:\bextends|\bnew|\bfunction)\s+$/.test(code.slice(Math.max(0, start - 20), start));
}

/** The offset of the parameters' parenthesis, behind type parameters if there are any. */
function parametersAt(code: string, start: number): number | undefined {
  let at = start;
  if (code[at] === "<") {
    let depth = 0;
    for (; at < code.length; at += 1) {
      const c = code[at];
      if (c === "<") depth += 1;
      else if (c === ">" && code[at - 1] !== "=") depth -= 1;
      else if (c === ";") return undefined;
      if (depth === 0) break;
    }
    at += 1;
  }
  return code[at] === "(" ? at : undefined;
}

/** The offset of the body's brace behind the parameters and a return type, if there is a body. */
function bodyAt(code: string, start: number): number | undefined {
  let at = skipBlanks(code, start);
  if (code[at] === "{") return at;
  if (code[at] !== ":") return undefined;
  // In a type a brace opens a type literal only where a type is due; elsewhere it is the body.
  let typeIsDue = true;
  for (at += 1; at < code.length; at = skipBlanks(code, at)) {
    const c = code[at]!;
    if (c === "{" && !typeIsDue) return at;
    if ("{([".includes(c)) {
      at = closingBracket(code, at);
      typeIsDue = false;
    } else if (/[;,)\]}]/.test(c)) {
      return undefined;
    } else if (/[\w$]/.test(c)) {
      const word = /[\w$.]+/y;
      word.lastIndex = at;
      const text = word.exec(code)![0];
      typeIsDue = /^(?:is|asserts|keyof|readonly|infer|extends|typeof|unique)$/.test(text);
      at += text.length;
    } else {
      if (!/\s/.test(c)) typeIsDue = /[:|&<?=]/.test(c) || (c === ">" && code[at - 1] === "=");
      at += 1;
    }
  }
  return undefined;
}

function skipBlanks(code: string, start: number): number {
  let at = start;
  while (at < code.length && /\s/.test(code[at]!)) at += 1;
  return at;
}
