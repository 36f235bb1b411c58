import { expect, test } from "vitest";
import { logsToAsk, type Outcome, tally, type Vote } from "./quorum.ts";

const LETTERS: Record<string, Vote> = {
  g: "granted",
  r: "refused",
  f: "failed",
  p: "pending",
  ".": "unasked",
};

const votes = (letters: string) => [...letters].map((letter) => LETTERS[letter]!);

test.each<[string, Outcome]>([
  ["ppp", "open"],
  ["gp.", "open"],
  ["rpp", "open"],
  ["fgp", "open"],
  ["fg.", "open"],
  ["gg.", "settled"],
  ["ggr", "settled"],
  ["ggf", "settled"],
  ["rgf", "fenced"],
  ["rrp", "fenced"],
  ["rrg", "fenced"],
  ["rfp", "fenced"],
  ["ffp", "lost"],
  ["ffg", "lost"],
  ["fff", "lost"],
])("quorum: %s is %s", (letters, outcome) => {
  expect(tally(votes(letters))).toBe(outcome);
});

test("quorum: what is decided stays decided, whatever else comes in", () => {
  const step = (all: string): string[] =>
    [...all].flatMap((letter, i) =>
      letter === "p" ? ["g", "r", "f"].map((v) => all.slice(0, i) + v + all.slice(i + 1)) : [],
    );
  let open = ["ppp"];
  for (let round = 0; round < 3; round++) {
    for (const before of open) {
      const outcome = tally(votes(before));
      if (outcome === "open") continue;
      for (const after of step(before)) {
        const later = tally(votes(after));
        // Lost may turn out to be fenced: the log that answers late knows why.
        const expected = outcome === "lost" ? ["lost", "fenced"] : [outcome];
        expect(expected, `${before} -> ${after}`).toContain(later);
      }
    }
    open = open.flatMap(step);
  }
  expect(open.every((all) => tally(votes(all)) !== "open")).toBe(true);
});

test.each<[string, boolean[], number[]]>([
  ["...", [true, true, true], [0, 1, 2]],
  ["...", [true, false, true], [0, 2]],
  ["...", [true, false, false], [0, 1, 2]],
  ["p.p", [true, false, true], []],
  ["p.f", [true, false, true], [1]],
  ["g.p", [true, false, true], []],
  ["gpp", [true, true, true], []],
])("quorum: with %s and usable %s, ask %s", (letters, usable, ask) => {
  expect(logsToAsk(votes(letters), usable)).toEqual(ask);
});
