import { expect, test } from "vitest";
import { planFault } from "./fault.ts";

test("fault: one campus, from one share of the messages to a later one", () => {
  expect(planFault({})).toBeUndefined();
  expect(planFault({ killCampus: "b" })).toEqual({
    kind: "kill",
    campus: "b",
    at: 0.3,
    backAt: 0.7,
  });
  expect(planFault({ cutCampus: "a", at: "12.5%", backAt: "100%" })).toEqual({
    kind: "cut",
    campus: "a",
    at: 0.125,
    backAt: 1,
  });
});

test.each([
  [{ killCampus: "a", cutCampus: "b" }, "one campus at a time"],
  [{ at: "30%" }, "go with"],
  [{ freezeCampus: "a", at: "thirty" }, "like 30%"],
  [{ freezeCampus: "a", at: "130%" }, "like 30%"],
  [{ killCampus: "a", at: "50%", backAt: "50%" }, "--back-at must come after"],
])("fault: %o is refused", (options, message) => {
  expect(planFault(options)).toBeInstanceOf(Error);
  expect(String(planFault(options))).toContain(message);
});
