import { expect, test } from "vitest";
import { reportReadiness } from "../svrkit/monitors/readiness.ts";
import { HealthDoor } from "./health-door.ts";

const who = { host: "127.0.0.1", name: "a/kvsvr", campus: "a" };

test("health door: alive at once, ready when started and no part says otherwise", async () => {
  const door = (await HealthDoor.open({ ...who, healthPort: 0 }))!;
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${door.port}${path}`);
    return `${response.status} ${(await response.text()).trim()}`;
  };
  let reason: string | undefined = "it catches up with the others";
  reportReadiness("kvsvr", () => reason);
  expect(await ask("/livez")).toBe("200 alive");
  expect(await ask("/readyz")).toBe("503 it starts");
  door.started();
  expect(await ask("/readyz")).toBe("503 kvsvr: it catches up with the others");
  reason = undefined;
  expect(await ask("/readyz")).toBe("200 ready");
  expect(await ask("/")).toBe("404 there are /livez, /readyz and /metrics");
  expect(await ask("/metrics")).toMatch(/^200 # HELP tricampus_/);
  door.close();
});

test("health door: none without a port", async () => {
  expect(await HealthDoor.open({ ...who, healthPort: undefined })).toBeUndefined();
});
