import { expect, test } from "vitest";
import { versionIn } from "./api-client.ts";

const ANSWERS: [situation: string, metadata: object][] = [
  ["as a rule", { name: "x", resourceVersion: "17", labels: { a: "b" } }],
  ["beside a label of that name", { labels: { resourceVersion: "3" }, resourceVersion: "17" }],
  ["before one", { resourceVersion: "17", labels: { resourceVersion: "3" } }],
  [
    "beside an annotation that holds an object",
    { annotations: { last: '{"resourceVersion":"3"}' }, resourceVersion: "17" },
  ],
  ["beside who owns it", { managedFields: [{ "f:resourceVersion": {} }], resourceVersion: "17" }],
  ["with blanks", { resourceVersion: "17" }],
];

test.each(ANSWERS)("a write's version: %s", (situation, metadata) => {
  const text = JSON.stringify({ metadata }, undefined, situation === "with blanks" ? 2 : 0);
  expect(versionIn(text)).toBe("17");
});
