/** What a log remembers of the others of its group, when it stops. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLogger } from "../svrkit/log.ts";
import { LogsMet } from "./identity.ts";
import { Membership } from "./membership.ts";

test("a log has written what it was to remember when it has stopped, and writes nothing afterwards", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-membership-"));
  const membership = await Membership.open(dir, {
    ...{ group: 1, campus: "a", log: silentLogger(), others: [] },
    logs: { callOne: () => Promise.reject(new Error("there is nobody")) },
    durable: () => ({ segment: 0, bytes: 0 }),
    onBarred: () => {},
  });
  const admitted = membership.admit({ group: 1, campus: "b", diskId: "ab" });
  await membership.stop();
  const files = readdirSync(dir);
  expect((await LogsMet.open(dir)).get("b")).toMatchObject({ diskId: "ab" });
  await admitted;
  expect(readdirSync(dir)).toEqual(files);
  rmSync(dir, { recursive: true });
});
