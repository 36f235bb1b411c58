/** Certificates by the clock: they are renewed whatever else is not done meanwhile, and pods stay. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Operator } from "./operator.ts";
import { Rig } from "./testing/rig.ts";
import { sampleCampus, sampleDataCenter, ZONES } from "./testing/samples.ts";

const DAY_MS = 24 * 3_600_000;

let rig: Rig;
let operator: Operator;
let laterMs: number;
beforeEach(async () => {
  laterMs = 0;
  rig = await Rig.open();
  operator = await rig.startOperator({ now: () => Date.now() + laterMs });
  rig.install();
  await rig.settled();
});
afterEach(() => rig.close());

const passing = (ms: number) => {
  laterMs += ms;
  operator.lookAtAll();
};
const texts = () => ({ ...(rig.get("Secret", "main-tls")!.data as Record<string, string>) });
const uids = () => rig.pods().map(({ metadata }) => metadata.uid);
const said = (type: string) => rig.condition("DataCenter", "main", type);

const oneZone = Object.keys(ZONES).map((name) => ({ name, zone: "the same" }));

const FROZEN: [why: string, freeze: () => void, isFrozen: () => boolean][] = [
  [
    "the data centre is paused",
    () => rig.write("DataCenter", "main", sampleDataCenter({ paused: true })),
    () => said("Progressing") === "False Paused",
  ],
  [
    "paused with a layout that pods do not have",
    () => rig.write("DataCenter", "main", sampleDataCenter({ paused: true, layout: "Split" })),
    () => said("Progressing") === "False Paused",
  ],
  [
    "there is a problem",
    () => rig.remove("KVGroup", "main-1"),
    () => said("Ready") === "False GroupMissing",
  ],
  [
    "the plan is refused",
    () => {
      for (const name of ["a", "b", "c"] as const)
        rig.write("Campus", name, { ...sampleCampus(name), zone: "the same" });
      rig.write("DataCenter", "main", sampleDataCenter({ campuses: oneZone }));
    },
    () => said("Progressing") === "False PlanRefused",
  ],
];

test.each(FROZEN)("certificates are renewed before their end while %s", async (_, freeze, isIt) => {
  freeze();
  await rig.until("nothing is changed", isIt);
  await rig.quiet();
  const [before, pods] = [texts(), uids()];
  const names = Object.keys(before).filter((name) => name.endsWith(".crt") && name !== "ca.crt");
  passing(55 * DAY_MS);
  await rig.quiet();
  expect(texts()).toEqual(before);
  passing(6 * DAY_MS);
  await rig.until("all are renewed", () => names.every((name) => texts()[name] !== before[name]));
  await rig.quiet();
  expect(texts()["ca.crt"]).toBe(before["ca.crt"]);
  expect(uids()).toEqual(pods);
  expect(isIt()).toBe(true);
});
