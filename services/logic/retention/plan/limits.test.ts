import { expect, test } from "vitest";
import { confirmedBy, timesOf } from "./limits.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 100 * DAY;
const rules = {
  forget: "when-confirmed",
  keepMs: 3 * DAY,
  silentMs: 2 * DAY,
  idsMs: 7 * DAY,
  mediaMs: 3 * DAY,
  timelineMs: 3 * DAY,
} as const;

/** "phone 40 1": has version 40, as heard an hour ago. */
const heard = (script: string) => {
  const [device, version, hours] = script.split(" ") as [string, string, string];
  return {
    userId: "u",
    device,
    messagesVersion: Number(version),
    atMs: NOW - Number(hours) * HOUR,
  };
};

test.each([
  { what: "the device that has least decides", devices: ["phone 40 1", "desk 30 2"], version: 30 },
  {
    what: "one that was silent for too long does not",
    devices: ["phone 40 1", "desk 30 48"],
    version: 40,
  },
  { what: "only silent ones: nobody has anything", devices: ["desk 30 48"], version: 0 },
  { what: "nobody was heard", devices: [], version: 0 },
])("retention: $what", ({ devices, version }) => {
  expect(confirmedBy(devices.map(heard), rules, NOW)).toBe(version);
  expect(confirmedBy(devices.map(heard), { ...rules, forget: "by-age" }, NOW)).toBe(0);
});

test("retention: what keeps messages from doubling outlives the messages", () => {
  const times = timesOf(rules, NOW);
  expect(times.deliveredBeforeMs).toBe(NOW - 3 * DAY);
  expect(times.committedBeforeMs).toBe(NOW - 7 * DAY);
  expect(times.conversationBeforeMs).toBe(NOW - 8 * DAY);
  const long = timesOf({ ...rules, keepMs: 30 * DAY }, NOW);
  expect(long.committedBeforeMs).toBe(NOW - 30 * DAY);
  expect(long.conversationBeforeMs).toBeLessThan(long.committedBeforeMs);
});
