import { expect, test } from "vitest";
import { makeUserDevice } from "../../../../protos/gen/tricampus/client/v1/account_codec.ts";
import { planLogIn, reasonAgainstRenewal, revocationOf, revocationOfAll } from "./log-in.ts";

const PHONE = 1;
const DESKTOP = 3;
const times = { nowMs: 100, ticketLifetimeMs: 1_000 };

/** "phone1 at 5, issued 7" */
const stored = (
  device: string,
  platform: number,
  loggedInAtMs: number,
  issuedAtMs = loggedInAtMs,
) => ({
  device: makeUserDevice({ device, platform, loggedInAtMs }),
  issuedAtMs,
});

const devices = [stored("p2", PHONE, 20), stored("p1", PHONE, 10, 300), stored("d1", DESKTOP, 5)];

function logIn(device: string, platform: number, devicesMax: number) {
  const asked = { ...makeUserDevice({ device, platform }), devicesMax, userId: "u" };
  return planLogIn({ devices, revocations: [] }, asked, times);
}

test.each([
  { what: "room for one more", device: "p3", platform: PHONE, max: 3, displaced: [] },
  { what: "the first to have come goes", device: "p3", platform: PHONE, max: 2, displaced: ["p1"] },
  { what: "a lower limit", device: "p3", platform: PHONE, max: 1, displaced: ["p1", "p2"] },
  { what: "the same device again", device: "p2", platform: PHONE, max: 2, displaced: [] },
  { what: "another platform", device: "d2", platform: DESKTOP, max: 1, displaced: ["d1"] },
])("log in: $what", ({ device, platform, max, displaced }) => {
  expect(logIn(device, platform, max).displaced.map((one) => one.device)).toEqual(displaced);
});

test("log in: who names no platform, and who names another, count together", () => {
  const others = [stored("o1", 0, 5), stored("o2", 5, 6)];
  for (const platform of [0, 5]) {
    const asked = { ...makeUserDevice({ device: "o3", platform }), devicesMax: 2, userId: "u" };
    const { displaced } = planLogIn({ devices: others, revocations: [] }, asked, times);
    expect(displaced.map((one) => one.device)).toEqual(["o1"]);
  }
});

test("log in: what a displaced device has is not good any more, whatever clock issued it", () => {
  expect(logIn("p3", PHONE, 2).displaced).toEqual([
    { userId: "u", device: "p1", issuedBeforeMs: 301, untilMs: 1_301, reason: expect.any(String) },
  ]);
});

test("log in: a device that says no platform keeps its own, and when it came", () => {
  expect(logIn("p2", 0, 3).device).toEqual(stored("p2", PHONE, 20, 100));
});

test("log in: a device's newest ticket is not issued before an earlier one, by a clock that was ahead", () => {
  expect(logIn("p1", PHONE, 3).device).toEqual(stored("p1", PHONE, 10, 300));
});

test("log out: it never ends fewer tickets than the log-out that it takes the place of", () => {
  const about = { userId: "u", reason: "x" };
  const all = revocationOfAll({ devices, revocations: [] }, { ...times, ...about });
  const revocations = [{ revocation: all, carried: true }];
  expect(revocationOfAll({ devices: [], revocations }, { ...times, ...about })).toEqual(all);
  const own = [{ revocation: { ...all, device: "d1" }, carried: true }];
  const again = revocationOf(stored("d1", DESKTOP, 5), own, { ...times, ...about });
  expect(again.issuedBeforeMs).toBe(301);
  expect(revocationOf(stored("d1", DESKTOP, 5), revocations, { ...times, ...about })).toMatchObject(
    { issuedBeforeMs: 101 },
  );
});

test("log in: a new ticket is issued after every log-out of the device, and of all", () => {
  const all = revocationOfAll({ devices, revocations: [] }, { ...times, userId: "u", reason: "x" });
  expect(all).toMatchObject({ device: "", issuedBeforeMs: 301 });
  const asked = { ...makeUserDevice({ device: "p9" }), devicesMax: 9, userId: "u" };
  const revocations = [{ revocation: all, carried: true }];
  expect(planLogIn({ devices, revocations }, asked, times).device.issuedAtMs).toBe(301);
  const own = [{ revocation: { ...all, device: "p1" }, carried: true }];
  expect(planLogIn({ devices, revocations: own }, asked, times).device.issuedAtMs).toBe(100);
});

test("log in: a ticket is renewed unless its device, or all, were logged out since it was issued", () => {
  const ended = (device: string, issuedBeforeMs: number) => [
    {
      revocation: { userId: "u", device, issuedBeforeMs, untilMs: 9_000, reason: "lost" },
      carried: false,
    },
  ];
  const ask = (revocations: ReturnType<typeof ended>, device = "p1", issuedAtMs = 50) =>
    reasonAgainstRenewal({ devices, revocations }, { device, issuedAtMs });
  expect(ask([])).toBeUndefined();
  expect(ask(ended("", 51))).toBe("lost");
  expect(ask(ended("p1", 51))).toBe("lost");
  expect(ask(ended("", 50))).toBeUndefined();
  expect(ask(ended("p2", 51))).toBeUndefined();
  expect(ask([], "p9")).toBe("it is none of the user's devices");
});
