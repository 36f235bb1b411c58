/** Every reason of a condition is explained; every alert is about a reason, and leads to its section. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { REASONS } from "../operator/plan/reasons.ts";
import { alertRules } from "./alert-rules.ts";

const runbook = readFileSync(join(import.meta.dirname, "../docs/runbook.md"), "utf8");
const sections = new Map(
  runbook
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [title = "", ...body] = section.split("\n");
      return [title, body.join("\n").trim()] as const;
    }),
);

test("runbook: a section for every reason, and for nothing else", () => {
  expect([...sections.keys()].toSorted()).toEqual(Object.keys(REASONS).toSorted());
});

test("runbook: a reason that alerts is followed by what to do", () => {
  for (const { alert, annotations } of alertRules()[0]!.rules) {
    const anchor = annotations.runbook.split("#")[1]!;
    if (anchor === "no-operator-acts") expect(runbook).toContain("## No operator acts");
    const title = [...sections.keys()].find((one) => one.toLowerCase() === anchor);
    if (title !== undefined) expect(sections.get(title), alert).toContain("Do:");
    else expect(anchor, alert).toBe("no-operator-acts");
  }
});
