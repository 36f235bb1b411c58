import { expect, test } from "vitest";
import { Steps } from "./steps.ts";
import { Timeline } from "./timeline.ts";

test("steps: each once, in order, when its share is reached; what was not reached, at the end", async () => {
  const done: string[] = [];
  const step = (at: number, text: string) => ({ at, text, act: () => void done.push(text) });
  const timeline = new Timeline(performance.now());
  const steps = new Steps([step(0.7, "back"), step(0.3, "kill"), step(1, "last")], timeline);
  steps.reached(0.1);
  steps.reached(0.35);
  await Promise.resolve();
  expect(done).toEqual(["kill"]);
  steps.reached(0.36);
  steps.reached(0.9);
  await steps.finish();
  expect(done).toEqual(["kill", "back", "last"]);
  expect(timeline.rows()[0]!.at(-1)).toBe("kill; back; last");
});

test("steps: what failed is told at the end, and does not stop the rest", async () => {
  const done: string[] = [];
  const steps = new Steps(
    [
      { at: 0.1, text: "kill", act: () => Promise.reject(new Error("no such campus")) },
      { at: 0.2, text: "back", act: () => void done.push("back") },
    ],
    new Timeline(performance.now()),
  );
  steps.reached(0.5);
  await expect(steps.finish()).rejects.toThrow("kill: no such campus");
  expect(done).toEqual(["back"]);
});

test("steps: who gives up on the way undoes what was begun, and begins nothing", async () => {
  const done: string[] = [];
  const step = (at: number, text: string, undoes?: string) => {
    return { at, text, act: () => void done.push(text), ...(undoes !== undefined && { undoes }) };
  };
  const pair = (at: number, name: string) => [
    step(at, `${name} killed`),
    step(at + 0.1, `${name} started`, `${name} killed`),
  ];
  const all = [...pair(0.1, "a"), ...pair(0.3, "b"), step(0.35, "c killed"), ...pair(0.5, "d")];
  const steps = new Steps(all, new Timeline(performance.now()));
  steps.reached(0.3);
  expect(await steps.undo()).toBeUndefined();
  expect(done).toEqual(["a killed", "a started", "b killed", "b started"]);
  steps.reached(1);
  await steps.finish();
  expect(done).toHaveLength(4);
});

test("steps: what cannot be undone is told", async () => {
  const fail = () => Promise.reject(new Error("no such campus"));
  const steps = new Steps(
    [
      { at: 0.1, text: "kill", act: () => {} },
      { at: 0.9, text: "start", undoes: "kill", act: fail },
    ],
    new Timeline(performance.now()),
  );
  steps.reached(0.5);
  expect(await steps.undo()).toBe("start: no such campus");
});
