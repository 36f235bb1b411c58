import { expect, test, vi } from "vitest";
import { EmbeddedRouter } from "./embedded.ts";
import { routerEngineSuite } from "./engine.suite.ts";

routerEngineSuite("embedded", (options) => new EmbeddedRouter({ ...options, incompleteMs: 0 }));

test("router: who began a moment ago does not say of anybody that they are offline", async () => {
  vi.useFakeTimers();
  const router = new EmbeddedRouter({ connectionsMax: 1, incompleteMs: 50 });
  expect(router.isIncomplete).toBe(true);
  vi.advanceTimersByTime(50);
  expect(router.isIncomplete).toBe(false);
  vi.useRealTimers();
});
