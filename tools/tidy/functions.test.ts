import { expect, test } from "vitest";
import { measureFunctions } from "./functions.ts";
import { maskSource } from "./source.ts";

function names(text: string): string[] {
  return measureFunctions(maskSource(text)).map((f) => f.name);
}

test("functions: every form of a function is found", () => {
  const table: [string, string[]][] = [
    ["function a() { b(); }", ["a"]],
    ["export default async function a<T>(b: T): Promise<T> { return b; }", ["a"]],
    ["function* a() { yield 1; }", ["a"]],
    ["const a = function () { return 1; };", ["function"]],
    ["const a = (b: number) => { return b; };", ["arrow function"]],
    ["class A { b(): void { c(); } }", ["b"]],
    ["class A { private async b(): Promise<{ c: number }> { return d; } }", ["b"]],
    ["class A { constructor() { this.b = 1; } }", ["constructor"]],
    ["class A { get b(): string { return ''; } #c() { } }", ["b", "#c"]],
    ["const a = { b() { return 1; }, [c.d]() { return 2; } };", ["b", "function"]],
    ["function a(): { b: number } { return c; }", ["a"]],
    ["function a(b: unknown): b is { c: 1 } { return true; }", ["a"]],
    ["function a(b: { c: () => void } = {}): () => void { return b; }", ["a"]],
    ["function a<T extends { b: number }>(c: T): T[] | undefined { return c; }", ["a"]],
  ];
  for (const [text, expected] of table) expect(names(text), text).toEqual(expected);
});

test("functions: what only looks like a function is left alone", () => {
  const table = [
    "if (a) { b(); } else if (c) { d(); }",
    "for (const a of b(c)) { d(a); }",
    "while (a()) { b(); }",
    "switch (a(b)) { case c(d): { e(); } }",
    "try { a(); } catch (e) { b(); }",
    "class A extends b(C) { d = 1; }",
    "declare function a(): void;\nconst b = { c: 1 };",
    "interface A { b(): { c: number }; d(): void }",
    "const a = b ? c(d) : { e: 1 };",
    "const a = { b: c(d), e: { f: 1 } };",
    "a(b, { c: 1 });",
    '// function a() {\nconst b = "function c() {";',
  ];
  for (const text of table) expect(names(text), text).toEqual([]);
});

test("functions: length goes from the head to the closing brace", () => {
  const text = [
    "function a(",
    "  b: string,",
    "): void {",
    '  c("}");',
    "  // }",
    "  d(`}`);",
    "}",
  ];
  expect(measureFunctions(maskSource(text.join("\n")))).toEqual([
    { name: "a", line: 1, lines: 7, ownLines: 7 },
  ]);
});

test("functions: own lines leave out inner functions", () => {
  const text = ["describe('a', () => {", "  test('b', () => {", "    c();", "  });", "});"];
  const [outer, inner] = measureFunctions(maskSource(text.join("\n")));
  expect(outer).toMatchObject({ line: 1, lines: 5, ownLines: 3 });
  expect(inner).toMatchObject({ line: 2, lines: 3, ownLines: 3 });
});
