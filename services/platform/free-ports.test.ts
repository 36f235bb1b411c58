import { createServer } from "node:net";
import { expect, test } from "vitest";
import { checkConfig } from "./config.ts";
import { findBasePort, findTakenPort } from "./free-ports.ts";

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
