import { expect, test } from "vitest";
import { Heartbeat } from "./heartbeat.ts";

/** Looks every 50 ms from `fromMs` on; returns the first verdict that is not fine, and when. */
function firstVerdict(heartbeat: Heartbeat, fromMs: number, untilMs: number): string {
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 50) {
    const verdict = heartbeat.look(nowMs, 0);
    if (verdict !== "fine") return `${verdict} at ${nowMs}`;
  }
  return "fine";
}

test("heartbeat: with a request open silence is asked about after 300 ms, believed 500 ms later", () => {
  const heartbeat = new Heartbeat();
  heartbeat.reset(0);
  heartbeat.asked(10_000);
  expect(firstVerdict(heartbeat, 10_050, 20_000)).toBe("ping at 10300");
  expect(firstVerdict(heartbeat, 10_350, 20_000)).toBe("dead at 10800");
});

test("heartbeat: a slow service does not kill a connection whose pings are answered", () => {
  const heartbeat = new Heartbeat();
  heartbeat.reset(0);
  heartbeat.asked(0);
  expect(firstVerdict(heartbeat, 50, 5_000)).toBe("ping at 300");
  heartbeat.heard(320);
  expect(firstVerdict(heartbeat, 350, 5_000)).toBe("ping at 650");
});

test("heartbeat: an idle connection is pinged every 20 s and given 5 s", () => {
  const heartbeat = new Heartbeat();
  heartbeat.reset(0);
  expect(firstVerdict(heartbeat, 50, 60_000)).toBe("ping at 20000");
  expect(firstVerdict(heartbeat, 20_050, 60_000)).toBe("dead at 25000");
});

test("heartbeat: a request made while an idle ping is out gets its full time", () => {
  const heartbeat = new Heartbeat();
  heartbeat.reset(0);
  expect(heartbeat.look(20_000, 0)).toBe("ping");
  heartbeat.asked(20_400);
  expect(firstVerdict(heartbeat, 20_450, 60_000)).toBe("dead at 20900");
});

test("heartbeat: time in which this process was stuck is not the other side's silence", () => {
  const heartbeat = new Heartbeat();
  heartbeat.reset(0);
  heartbeat.asked(0);
  expect(heartbeat.look(5_000, 4_950)).toBe("fine");
  expect(firstVerdict(heartbeat, 5_050, 9_000)).toBe("ping at 5250");
  expect(heartbeat.look(9_250, 3_950)).toBe("fine");
});
