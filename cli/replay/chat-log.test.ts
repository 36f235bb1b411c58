import { expect, test } from "vitest";
import { parseChatLog } from "./chat-log.ts";

const parse = (text: string | Uint8Array) =>
  parseChatLog("log", typeof text === "string" ? Buffer.from(text) : text);

test("chat log: said and done lines are messages, the rest is left out and counted", () => {
  const log = parse(
    [
      "[12:18] <|trey|> usual, quite stable though  :)",
      "=== topyli [~juha@dsl.fi]  has left #ubuntu []",
      "[12:19]  * epod yawns",
      "[12:19] <epod> ",
      "[12:19] <epod>",
      "",
      "something else",
      "[12:20] <Matt|> epod: a > b <c> [12:00] <x> y",
      "",
    ].join("\n"),
  );
  expect(log.lines).toEqual([
    { number: 1, nick: "|trey|", text: "usual, quite stable though  :)" },
    { number: 3, nick: "epod", text: "yawns" },
    { number: 8, nick: "Matt|", text: "epod: a > b <c> [12:00] <x> y" },
  ]);
  expect(log.leftOut).toBe(5);
});

test("chat log: odd bytes stay, invalid UTF-8 is replaced", () => {
  const log = parse(
    Buffer.concat([
      Buffer.from("[00:00] <a> \u0002bold\u000f\u2028 tail \r\n[00:01] <b> x"),
      Buffer.from([0xff, 0x0a]),
      Buffer.from("[00:02] <c> \u{1f40b}"),
    ]),
  );
  expect(log.lines.map((line) => line.text)).toEqual([
    "\u0002bold\u000f\u2028 tail \r",
    "x\ufffd",
    "\u{1f40b}",
  ]);
});

test("chat log: an empty file has nothing", () => {
  expect(parse("")).toEqual({ title: "log", lines: [], leftOut: 0 });
});
