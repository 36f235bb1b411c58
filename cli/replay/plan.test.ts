import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChatLog, parseChatLog } from "./chat-log.ts";
import { countDeliveries, planReplay } from "./plan.ts";

function logOf(title: string, nicks: readonly string[]): ChatLog {
  const lines = nicks.map((nick, index) => ({
    number: index + 1,
    nick,
    text: `${title} ${index}`,
  }));
  return { title, lines, leftOut: 0 };
}

test("plan: a nick is one user in all logs, and a member where it speaks", () => {
  const plan = planReplay("r1", [logOf("x", ["ann", "bob", "ann"]), logOf("y", ["bob", "cy"])]);
  expect(plan.users.map((user) => user.nick)).toEqual(["ann", "bob", "cy"]);
  expect(plan.groups.map((group) => group.members)).toEqual([
    [0, 1],
    [1, 2],
  ]);
  expect(plan.groups[1]!.messages[0]).toEqual({
    clientMessageId: "r1-1-1",
    sender: 1,
    text: "y 0",
  });
});

test("plan: a quarter only send, one in ten has a second device", () => {
  const nicks = Array.from({ length: 400 }, (_, index) => `n${index}`);
  const plan = planReplay("r1", [logOf("x", nicks)]);
  expect(plan.users.filter((user) => user.onlySends).length).toBe(100);
  expect(plan.users.filter((user) => user.devices.length === 2).length).toBe(40);
  expect(countDeliveries(plan)).toBe(400 * 440);
});

test("plan: the limit cuts each log, and with it who speaks", () => {
  const plan = planReplay("r1", [logOf("x", ["ann", "bob", "cy"]), logOf("y", [])], 2);
  expect(plan.users.length).toBe(2);
  expect(plan.groups.length).toBe(1);
});

test("plan: any two nicks become two names that the platform accepts", () => {
  const nick = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(fc.uniqueArray(nick, { maxLength: 20 }), (nicks) => {
      const names = planReplay("r1", [logOf("x", nicks)]).users.map((user) => user.name);
      const distinct = new Set(names.map((name) => name.toLowerCase()));
      expect(distinct.size).toBe(nicks.length);
      for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
    }),
  );
});

test("plan: nicks that differ in case are two people, and names know no case", () => {
  const plan = planReplay("r1", [logOf("x", ["kev0r", "Kev0r", "KEV0R"])]);
  const names = plan.users.map((user) => user.name);
  expect(names).toEqual(["r1-kev0r", "r1-Kev0r..1", "r1-KEV0R..2"]);
});

test("plan: the same files and run give the same plan", () => {
  const log = parseChatLog("x", Buffer.from("[00:00] <a> one\n[00:00] <b> two\n"));
  expect(planReplay("r9", [log])).toEqual(planReplay("r9", [log]));
});
