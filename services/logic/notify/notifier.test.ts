import { expect, test } from "vitest";
import { pushTargets } from "./notifier.ts";

const at = (userId: string, device: string, campus: string, number: number) => ({
  ...{ userId, device, campus, number },
  access: `${campus}/access#1`,
});

test("notify: every connection of every target, by campus; rows only where they follow", () => {
  const locations = [
    at("u1", "phone", "a", 1),
    at("u1", "desk", "b", 2),
    at("u2", "phone", "b", 3),
    at("u3", "phone", "a", 4),
  ];
  const targets = new Map([
    ["u1", { userId: "u1", version: 7, alone: true }],
    ["u2", { userId: "u2", version: 9, alone: false }],
  ]);
  expect(Object.fromEntries(pushTargets(locations, targets))).toEqual({
    a: [{ connection: 1, userId: "u1", version: 7, follows: 6 }],
    b: [
      { connection: 2, userId: "u1", version: 7, follows: 6 },
      { connection: 3, userId: "u2", version: 9, follows: 0 },
    ],
  });
});
