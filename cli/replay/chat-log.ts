/**
 * Reads chat logs: `[HH:MM] <nick> text` is a message, `[HH:MM]  * nick text` is one too, of nick's
 * text. Everything else (`===` for joins, parts and renames, empty texts, what has no known form) is
 * left out and counted. Bytes stay as people typed them, except that invalid UTF-8 is replaced.
 */
interface ChatLine {
  /** Position in the file, from 1. */
  readonly number: number;
  readonly nick: string;
  readonly text: string;
}

export interface ChatLog {
  readonly title: string;
  readonly lines: readonly ChatLine[];
  readonly leftOut: number;
}

const SAID = /^\[\d\d:\d\d\] <([^>]+)> ?(.*)$/s;
const DONE = /^\[\d\d:\d\d\] {2}\* (\S+) ?(.*)$/s;

export function parseChatLog(title: string, bytes: Uint8Array): ChatLog {
  const texts = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\n");
  if (texts.at(-1) === "") texts.pop();
  const lines: ChatLine[] = [];
  texts.forEach((line, index) => {
    const match = SAID.exec(line) ?? DONE.exec(line);
    if (match === null || match[2] === "") return;
    lines.push({ number: index + 1, nick: match[1]!, text: match[2]! });
  });
  return { title, lines, leftOut: texts.length - lines.length };
}
