import { expect, test } from "vitest";
import { kvForceCommand } from "./kv-force.ts";

test("kv force: in a cluster it says that it is not there, and to keep the volume", async () => {
  const call = { dataDir: "data", context: "kind", arguments: ["b"], options: {}, json: false };
  const forced = kvForceCommand.run(call);
  await expect(forced).rejects.toThrow(/not there yet; keep the last replica's volume/);
});
