import { describe, expect, test } from "vitest";
import { dueOf, type PlannedSend, pairOf, planPopulation, Schedule, textOf } from "./plan.ts";
import { PROFILES, scaleProfile } from "./profile.ts";

const profileOf = (name: string, factor: number) =>
  scaleProfile(PROFILES.find((profile) => profile.name === name)!, { factor });

function allSends(name: string, factor: number): PlannedSend[] {
  const profile = profileOf(name, factor);
  const schedule = new Schedule({ run: "r", phase: 0, profile }, planPopulation("r", profile));
  const sends: PlannedSend[] = [];
  for (let one = schedule.next(); one !== undefined; one = schedule.next()) sends.push(one);
  return sends;
}

describe("load plan: every profile", () => {
  test.each(PROFILES.map(({ name }) => [name]))("%s: people, groups and sends fit", (name) => {
    const profile = profileOf(name, 0.02);
    const { users, groups } = planPopulation("r", profile);
    expect(users.length).toBe(profile.online + profile.offline);
    for (const members of groups) {
      expect(new Set(members).size).toBe(members.length);
      expect(members[0]).toBeLessThan(profile.online);
    }
    const sends = allSends(name, 0.02);
    expect(sends.every(({ sender }) => sender < profile.online)).toBe(true);
    const isInside = ({ sender, to }: PlannedSend) =>
      "user" in to
        ? to.user !== sender && to.user < users.length
        : groups[to.group]!.includes(sender);
    expect(sends.every(isInside)).toBe(true);
  });
});

test("load plan: as many sends as the rate says, in the order of time, the same every time", () => {
  const sends = allSends("W1", 0.05);
  expect(sends.length).toBeGreaterThan(100 * 60 * 0.95);
  expect(sends.length).toBeLessThan(100 * 60 * 1.05);
  expect(sends.map(({ dueS }) => dueS)).toEqual(
    sends.map(({ dueS }) => dueS).sort((a, b) => a - b),
  );
  expect(sends.filter(({ to }) => "group" in to).length / sends.length).toBeCloseTo(0.1, 1);
  expect(allSends("W1", 0.05)).toEqual(sends);
});

test("load plan: first messages are all of different pairs", () => {
  const sends = allSends("first-message", 0.1);
  const pairs = sends.map(({ sender, to }) => [sender, "user" in to ? to.user : -1].sort().join());
  expect(pairs.length).toBeGreaterThan(100);
  expect(new Set(pairs).size).toBe(pairs.length);
});

test("load plan: few pairs share nobody", () => {
  const profile = profileOf("direct", 1);
  const people = Array.from({ length: profile.pairs }, (_, index) => pairOf(index, profile)).flat();
  expect(new Set(people).size).toBe(1_000);
});

test("load plan: a text says when it was due, and has its length", () => {
  const text = textOf(1_700_000_000_123.4, 256);
  expect(text.length).toBe(256);
  expect(dueOf(text)).toBe(1_700_000_000_123.4);
});
