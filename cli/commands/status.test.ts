import { expect, test } from "vitest";
import { describeIntake, whatLacks } from "./status.ts";

const campuses = (...states: string[]) =>
  states.map((state, i) => ({ campus: ["a", "b", "c"][i]!, state }));

test("status: three campuses that run lack nothing", () => {
  expect(whatLacks(campuses("running", "running", "running"))).toBeUndefined();
});

test.each([
  [
    ["running", "cut", "running"],
    "campus b is cut: the others serve; run `tricampus campus join b`",
  ],
  [["running", "running", "silent"], "campus c is silent: the others serve"],
  [
    ["down", "running", "frozen"],
    "campus a is down, campus c is frozen: 2 of 3 campuses do not serve, so the store neither reads " +
      "nor writes; run `tricampus campus start a` and `tricampus campus thaw c`",
  ],
])("status: of %j it says who is away, what that means and what to do", (states, says) => {
  expect(whatLacks(campuses(...states))).toBe(says);
});

test("status: who has not taken in all of its log says so", () => {
  const processes = [
    { process: "a/kvsvr", unreplayed: 12_000 },
    { process: "b/kvsvr", unreplayed: 0 },
    { process: "b/access", unreplayed: null },
  ];
  expect(describeIntake(processes)).toEqual(["a/kvsvr: 12000 records of its log to take in"]);
});
