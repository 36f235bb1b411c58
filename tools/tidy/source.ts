/**
 * Separates a TypeScript source into code and comments, without a parser.
 *
 * TypeScript 7 has no compiler API, and the tidy rules need only to know what is code: `maskSource`
 * returns two texts of the same length and the same lines as the source. In `code` comments, the
 * contents of strings and templates, and regular expressions are blanks (quotes stay, so that the
 * literal can be looked up in the source); in `comments` all but the comments is blank.
 *
 * The one hard question is whether `/` divides or starts a regular expression. The answer is taken
 * from what stands before it, which is right for code that biome has formatted.
 */

export interface MaskedSource {
  text: string;
  code: string;
  comments: string;
}

const KEYWORDS_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|else|do|await|yield|instanceof|new)$/;
const HEADS_BEFORE_STATEMENT = /(?:^|[^\w$.])(?:if|while|for|with)\s*(?:await\s*)?$/;

/** Does a `/` after this masked code start a regular expression? */
function startsRegex(before: string, closesHead: boolean): boolean {
  const code = before.trimEnd();
  const last = code.at(-1);
  if (last === undefined) return true;
  if (last === ")") return closesHead;
  if (last === "}") return /\n\s*$/.test(before);
  if (code.endsWith("++") || code.endsWith("--")) return false;
  // `x! / 2` is a division; in `!/re/` no value stands before the mark.
  if (last === "!") return !/[\w$)\]]!$/.test(code);
  if (/[\w$]/.test(last)) return KEYWORDS_BEFORE_REGEX.test(code.slice(-20));
  return !/[\]"'`]/.test(last);
}

class Masker {
  private readonly text: string;
  private readonly code: string[] = [];
  private readonly comments: string[] = [];
  private at = 0;
  /** Open brackets; a "${" is closed by a brace that goes on with its template. */
  private readonly open: string[] = [];
  /** For each open parenthesis: does it belong to `if`, `while`, `for` or `with`? */
  private readonly heads: boolean[] = [];
  private closedHead = false;

  constructor(text: string) {
    this.text = text;
  }

  run(): MaskedSource {
    while (this.at < this.text.length) this.step();
    return { text: this.text, code: this.code.join(""), comments: this.comments.join("") };
  }

  private step(): void {
    const c = this.text[this.at]!;
    const next = this.text[this.at + 1];
    if (c === "/" && next === "/") this.blankUntil(this.endOf("\n", 0), true);
    else if (c === "/" && next === "*") this.blankUntil(this.endOf("*/", 2), true);
    else if (c === '"' || c === "'") this.maskString(c);
    else if (c === "`") this.maskTemplate();
    else if (c === "/" && startsRegex(this.tail(), this.closedHead)) this.maskRegex();
    else this.copyBracket(c);
  }

  private copyBracket(c: string): void {
    if (c === "(") this.heads.push(HEADS_BEFORE_STATEMENT.test(this.tail()));
    if (c === ")") this.closedHead = this.heads.pop() ?? false;
    if (c === "{") this.open.push("{");
    if (c === "}" && this.open.pop() === "${") {
      this.copy();
      this.maskTemplateText();
      return;
    }
    this.copy();
  }

  private maskString(quote: string): void {
    this.copy();
    while (this.at < this.text.length) {
      const c = this.text[this.at];
      if (c === quote || c === "\n") break;
      this.blankUntil(this.at + (c === "\\" ? 2 : 1), false);
    }
    if (this.at < this.text.length) this.copy();
  }

  private maskTemplate(): void {
    this.copy();
    this.maskTemplateText();
  }

  /** From inside a template's text to its closing quote, or to the next `${`. */
  private maskTemplateText(): void {
    while (this.at < this.text.length) {
      const c = this.text[this.at];
      if (c === "`") {
        this.copy();
        return;
      }
      if (c === "$" && this.text[this.at + 1] === "{") {
        this.copy();
        this.copy();
        this.open.push("${");
        return;
      }
      this.blankUntil(this.at + (c === "\\" ? 2 : 1), false);
    }
  }

  private maskRegex(): void {
    let end = this.at + 1;
    let inClass = false;
    for (; end < this.text.length && this.text[end] !== "\n"; end += 1) {
      const c = this.text[end];
      if (c === "\\") end += 1;
      else if (c === "[") inClass = true;
      else if (c === "]") inClass = false;
      else if (c === "/" && !inClass) break;
    }
    // Quotes stand in for the slashes, so that what follows sees a value and not an operator.
    this.put('"');
    this.blankUntil(end, false);
    if (this.text[this.at] === "/") this.put('"');
  }

  private endOf(mark: string, length: number): number {
    const found = this.text.indexOf(mark, this.at + length);
    return found < 0 ? this.text.length : found + length;
  }

  private blankUntil(end: number, isComment: boolean): void {
    for (const stop = Math.min(end, this.text.length); this.at < stop; this.at += 1) {
      const c = this.text[this.at]!;
      const blank = c === "\n" ? "\n" : " ";
      this.code.push(blank);
      this.comments.push(isComment ? c : blank);
    }
  }

  private copy(): void {
    this.put(this.text[this.at]!);
  }

  private put(c: string): void {
    this.code.push(c);
    this.comments.push(c === "\n" ? "\n" : " ");
    this.at += 1;
  }

  /** Enough of the masked code before this point to see the last word across a comment. */
  private tail(): string {
    let start = this.code.length;
    while (start > 0 && /\s/.test(this.code[start - 1]!)) start -= 1;
    return this.code.slice(Math.max(0, start - 24)).join("");
  }
}

export function maskSource(text: string): MaskedSource {
  return new Masker(text).run();
}

/** Turns offsets into line numbers, from 1. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1))
    line += 1;
  return line;
}

/** The offset just behind the bracket that closes the one at `open`, in masked code. */
export function closingBracket(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    const c = code[at]!;
    if ("([{".includes(c)) depth += 1;
    else if (")]}".includes(c)) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return code.length;
}
