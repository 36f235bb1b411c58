import { expect, test } from "vitest";
import type { BusinessClass } from "../svrkit/admission/priority.ts";
import { classOf } from "./methods.ts";

type Classes = Readonly<Record<string, BusinessClass>>;

test.each<[string, Classes, BusinessClass]>([
  ["nothing is told of it: as usual", {}, "moments"],
  ["its service is told of", { Moments: "other" }, "other"],
  [
    "it is told of itself, which goes before its service",
    { Moments: "other", "Moments/Post": "message" },
    "message",
  ],
  ["others are told of", { Text: "other", "Moments/List": "other" }, "moments"],
])("business class: %s", (_, classes, expected) => {
  expect(classOf({ name: "Moments/Post", businessClass: "moments" }, classes)).toBe(expected);
});
