import { expect, test } from "vitest";
import { asCalled } from "./called.ts";

const TEXT = "campus b is down: run `tricampus campus start b`, then `tricampus status`";

test.each([
  [["status"], "campus b is down: run `./tricampus campus start b`, then `./tricampus status`"],
  [
    ["status", "--data-dir", "my data", "--json"],
    "campus b is down: run `./tricampus campus start b --data-dir 'my data'`, then " +
      "`./tricampus status --data-dir 'my data'`",
  ],
  [
    ["--context=kind", "status"],
    "campus b is down: run `./tricampus campus start b --context=kind`, then `./tricampus status --context=kind`",
  ],
])("called: after %j the commands in a message are about the same platform", (words, says) => {
  expect(asCalled(TEXT, words, "./tricampus")).toBe(says);
});

test("called: what is sent is no option", () => {
  const words = ["send", "ann", "--", "--data-dir", "x"];
  expect(asCalled("see `tricampus status`", words, "tricampus")).toBe("see `tricampus status`");
});
