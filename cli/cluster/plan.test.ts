/** `tricampus plan` before an API server double: the operator's own plan, without its hands. */
import { expect, test } from "vitest";
import { Rig } from "../../operator/testing/rig.ts";
import { sampleDataCenter } from "../../operator/testing/samples.ts";
import { describePlan } from "../commands/plan.ts";
import { readPlan } from "./plan.ts";

test("plan: says what would be done and why, and does nothing", async () => {
  const rig = await Rig.open();
  const client = rig.newClient();
  const read = () => readPlan({ client, namespace: "test" }, "main", undefined);
  try {
    rig.install();
    const first = describePlan(await read(), false);
    expect(first[0]).toMatch(/^1\. issue certificates kvsvr, access, /);
    expect(first[1]).toBe("2. make credentials: they are missing");
    expect(first).toContainEqual(
      expect.stringMatching(/^\d+\. apply Service main-access-a: it is missing$/),
    );
    expect(first.at(-1)).toBe("No admin door answers: what the store says is not known here.");
    expect(rig.names("Service")).toEqual([]);

    const operator = await rig.startOperator();
    await rig.settled();
    await rig.stopOperator(operator);
    const image = rig.status<{ image?: string }>("DataCenter", "main").image;
    expect(image).toBe("tricampus:1");
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
    const before = rig.writesButLease();
    const plan = describePlan(await read(), false);
    expect(plan).toContainEqual(
      expect.stringMatching(/^\d+\. apply StatefulSet main-kvsvr-1-a: it differs/),
    );
    expect(rig.writesButLease()).toBe(before);
    await expect(readPlan({ client, namespace: "test" }, "other", undefined)).rejects.toThrow(
      "there is no DataCenter other",
    );
  } finally {
    client.stop();
    await rig.close();
  }
});
