// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are sources with templates
import { expect, test } from "vitest";
import { lineOf, maskSource } from "./source.ts";

/** Blanks are shown as dots, so that a lost or an added character is seen. */
function code(text: string): string {
  return maskSource(text).code.replaceAll(" ", ".");
}

test("source: what each kind of literal and comment becomes", () => {
  const table = [
    ["a // b", "a....."],
    ["a /* b */ c", "a.........c"],
    ['x = "a}b";', 'x.=."...";'],
    ["x = 'a\\'b' + y;", "x.=.'....'.+.y;"],
    ["`a${b}c`", "`.${b}.`"],
    ["`a${`b${c}`}d`", "`.${`.${c}`}.`"],
    ["`a${{ b: 1 }}c`", "`.${{.b:.1.}}.`"],
    ["`\\${a}`", "`.....`"],
    ['x = /[/}]"/g;', 'x.=."....."g;'],
    ["a / b / c", "a./.b./.c"],
    ["(a) / b / c", "(a)./.b./.c"],
    ["a[0] / b", "a[0]./.b"],
    ["a! / b; c = d / e", "a!./.b;.c.=.d./.e"],
    ["!/b}/.test(x)", '!"..".test(x)'],
    ["i++ / 2; '}'", "i++./.2;.'.'"],
    ["return /}/;", 'return.".";'],
    ["myreturn / 2 / 3", "myreturn./.2./.3"],
    ["if (a) /}/.test(b)", 'if.(a).".".test(b)'],
    ["`${a}` / b / c", "`${a}`./.b./.c"],
  ] as const;
  for (const [text, expected] of table) expect(code(text), text).toBe(expected);
});

test("source: comments and code keep length and lines of the text", () => {
  const text = 'a(); // one "\n/* two\n` */ b(`x\n${c /* three */}`);\n';
  const masked = maskSource(text);
  expect(masked.code.length).toBe(text.length);
  expect(masked.comments.length).toBe(text.length);
  expect(masked.code.split("\n").length).toBe(text.split("\n").length);
  expect(masked.comments).toContain('// one "');
  expect(masked.comments).toContain("/* three */");
  expect(masked.comments).not.toContain("b(");
  expect(masked.code).toContain("${c ");
});

test("source: lines are counted from 1", () => {
  const text = "a\nb\n\nc";
  expect([0, 1, 2, 4, 5].map((offset) => lineOf(text, offset))).toEqual([1, 1, 2, 3, 4]);
});
