import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("log: tickets, tokens and passwords are removed, in the line and in objects of it", () => {
  const script = `
    import { createLogger } from "${new URL("log.ts", import.meta.url).href}";
    const log = createLogger({ process: "a/logic", level: "info" });
    const names = ["ticket", "knownTicket", "password", "oldPassword", "newPassword", "idToken"];
    const secrets = { user: "ann", ...Object.fromEntries(names.map((name) => [name, "secret"])) };
    log.warn({ ...secrets, call: secrets, attempt: { call: secrets } }, "a login failed");
    log.child(secrets).info("another one");
  `;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script]);
  const lines = stderr.toString().trim().split("\n");
  expect(lines).toHaveLength(2);
  expect(stderr.toString()).not.toContain("secret");
  const removed = { ticket: "[removed]", newPassword: "[removed]", user: "ann" };
  expect(JSON.parse(lines[0]!)).toMatchObject({
    ...removed,
    call: removed,
    attempt: { call: removed },
    msg: "a login failed",
  });
  expect(JSON.parse(lines[1]!)).toMatchObject({ ...removed, msg: "another one" });
});
