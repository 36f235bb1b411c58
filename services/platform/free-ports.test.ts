import { createServer } from "node:net";
import { expect, test } from "vitest";
import { checkConfig } from "./config.ts";
import { findBasePort, findTakenPort, lentAmong } from "./free-ports.ts";

test("free ports: what somebody else has is named with the process that wants it", async () => {
  const config = checkConfig({});
  const basePort = await findBasePort(config);
  const own = { ...config, basePort };
  expect(await findTakenPort(own, ["a", "b", "c"])).toBeUndefined();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(basePort + 102, "127.0.0.1", resolve));
  expect(await findTakenPort(own, ["a", "c"])).toBeUndefined();
  const taken = { port: basePort + 102, process: "b/kvsvr" };
  expect(await findTakenPort(own, ["a", "b", "c"])).toEqual(taken);
  // A port that is let go a little later counts as free.
  setTimeout(() => other.close(), 300);
  expect(await findTakenPort(own, ["a", "b", "c"])).toBeUndefined();
});

test.each([
  ["below", 24_000, undefined],
  ["in part", 32_600, [32_768, 60_999]],
  ["whole", 44_000, [32_768, 60_999]],
  ["above", 61_000, undefined],
] as const)("free ports: a platform %s what is lent to connections", (_, basePort, lent) => {
  expect(lentAmong(checkConfig({ basePort }), [32_768, 60_999])).toEqual(lent);
});
