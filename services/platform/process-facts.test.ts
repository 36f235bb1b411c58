import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { isProcess, lookAtProcess, signal, waitUntilGone } from "./process-facts.ts";

test("process facts: running, stopped, gone, and never a stranger", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "mark-of-ours"]);
  const pid = child.pid!;
  await new Promise((resolve) => child.once("spawn", resolve));
  await expect.poll(() => isProcess(pid, "mark-of-ours")).toBe(true);
  expect(lookAtProcess(pid).state).toBe("running");
  expect(isProcess(pid, "mark-of-others")).toBe(false);
  signal(pid, "SIGSTOP");
  await expect.poll(() => lookAtProcess(pid).state).toBe("stopped");
  signal(pid, "SIGKILL");
  expect(await waitUntilGone(pid, 2_000)).toBe(true);
  expect(isProcess(pid, "mark-of-ours")).toBe(false);
  signal(pid, "SIGKILL");
});

test("process facts: numbers that are no process are gone", () => {
  for (const pid of [0, 1, -5, Number.NaN]) expect(lookAtProcess(pid)).toEqual({ state: "gone" });
});
