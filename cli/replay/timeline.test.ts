import { expect, test } from "vitest";
import { Timeline } from "./timeline.ts";

test("timeline: a row a second, silent ones included, events where they happened", () => {
  const timeline = new Timeline(5_000);
  timeline.acknowledged(5_100, 3);
  timeline.acknowledged(5_900, 7.4);
  timeline.event(7_000, "campus b killed");
  timeline.acknowledged(7_500, 120);
  timeline.delivered(7_600);
  expect(timeline.rows()).toEqual([
    ["0 s", "2", "0", "7 ms", "#".repeat(20), ""],
    ["1 s", "0", "0", "-", "", ""],
    ["2 s", "1", "1", "120 ms", "#".repeat(10), "campus b killed"],
  ]);
});
