import { expect, test } from "vitest";
import type { KvGroupStatus } from "../api/kv-group.ts";
import { sampleGroup, sampleInputs } from "../testing/samples.ts";
import { type GroupPlan, planGroup } from "./kv-group.ts";
import type { Observed } from "./observed.ts";
import { sayReplacing } from "./replacement.ts";

const { site } = sampleInputs("n");
const reason = "its node is gone";
const X = { act: "x", campus: "b", reason };
const Y = { act: "y", campus: "c", reason };

interface There {
  readonly claim?: "there" | "leaving" | "gone";
  /** The act that the claim bears. */
  readonly madeBy?: string;
  /** Of campus b; "unplaced": the new one, that has no node. */
  readonly pod?: "old" | "unplaced" | "new";
  /** Which pod of campus b has said that it is well. */
  readonly word?: "old" | "new" | "none";
}

function observedOf({ claim = "there", pod = "old", word = "old", madeBy = "" }: There): Observed {
  const uid = pod === "unplaced" ? "new" : pod;
  const name = "main-kvsvr-1-b";
  const made = {
    kind: "PersistentVolumeClaim",
    name,
    uid: "v",
    claim: { storage: "", capacity: "", madeBy },
  };
  const volume = { ...made, isLeaving: claim === "leaving" };
  const pods = ["a", "b", "c"].map((campus) => ({
    ...{ name: `main-kvsvr-1-${campus}-0`, workload: "kvsvr-1", campus, trouble: "" },
    ...{ uid: campus === "b" ? uid : "old", isLeaving: false },
    node: campus === "b" && pod === "unplaced" ? "" : "node",
  }));
  const words = new Map(
    ["a", "b", "c"].map((campus) => [
      `kvsvr-1/${campus}`,
      { unready: "", pod: campus === "b" ? word : "old" },
    ]),
  );
  return {
    ...{ nowMs: 0, pods, words, nodes: new Map([["node", { isReady: true }]]) },
    children: new Map(claim === "gone" ? [] : [[`PersistentVolumeClaim/${name}`, volume]]),
  } as unknown as Observed;
}

function planned(
  replace: object | undefined,
  replaced: KvGroupStatus["replaced"],
  there: There,
): GroupPlan {
  const spec = sampleGroup(1, replace === undefined ? {} : { replace });
  const status: KvGroupStatus = {
    bootstrap: "Done",
    ...(replaced !== undefined && { replaced }),
  };
  const group = { name: "main-1", uid: "g", resourceVersion: "1", generation: 1, spec, status };
  return planGroup(observedOf(there), site, group);
}

function replacement(...facts: Parameters<typeof planned>): string {
  const plan = planned(...facts);
  const next = plan.replaced;
  const acts = plan.actions.map((one) => ("kind" in one ? `${one.act} ${one.kind}` : one.act));
  return [next === undefined ? "none" : `${next.act} ${next.phase}`, ...acts].join(", ");
}

const is = (phase: "Removing" | "Rebuilding" | "Done") => ({ act: "x", campus: "b", phase });
const GONE: There = { claim: "gone", pod: "unplaced" };
const NEW: There = { pod: "new", word: "new", madeBy: "x" };
const REMOVAL = "x Removing, delete PersistentVolumeClaim, delete Pod";

test.each([
  ["nothing is asked for", undefined, undefined, {}, "none"],
  ["asked for", X, undefined, {}, "x Removing"],
  ["noted", X, is("Removing"), {}, REMOVAL],
  ["the volume goes", X, is("Removing"), { claim: "leaving" }, "x Removing, delete Pod"],
  ["both are gone", X, is("Removing"), GONE, "x Rebuilding"],
  [
    "only the old pod has said that it is well",
    X,
    is("Rebuilding"),
    { pod: "new", madeBy: "x" },
    "x Rebuilding",
  ],
  ["the new one says it", X, is("Rebuilding"), NEW, "x Done"],
  [
    "it is not noted on the volume",
    X,
    is("Rebuilding"),
    { ...NEW, madeBy: "w" },
    "x Rebuilding, note-act",
  ],
  ["it is done", X, is("Done"), NEW, "x Done"],
  ["an earlier version did it", X, is("Done"), { ...NEW, madeBy: "" }, "x Done, note-act"],
  [
    "an earlier version did it, and the spec names another campus by now",
    { ...X, campus: "c" },
    is("Done"),
    { ...NEW, madeBy: "" },
    "x Done, note-act",
  ],
  ["the status is lost", X, undefined, NEW, "x Done"],
  ["the status is lost, another act", Y, undefined, NEW, "y Removing"],
  ["taken back before the volume goes", undefined, is("Removing"), {}, "none"],
  ["another campus before it goes", { ...X, campus: "c" }, is("Removing"), {}, "none"],
  [
    "taken back when the volume goes",
    undefined,
    is("Removing"),
    { claim: "leaving" },
    "x Removing, delete Pod",
  ],
  ["taken back when both are gone", undefined, is("Removing"), GONE, "x Rebuilding"],
  ["taken back while it is filled", undefined, is("Rebuilding"), NEW, "x Done"],
  ["another one while the volume goes", Y, is("Removing"), GONE, "x Rebuilding"],
  ["another one when it is done", Y, is("Done"), { pod: "new", word: "new" }, "y Removing"],
  ["taken back when it is done", undefined, is("Done"), {}, "x Done"],
] as const)("replacing: %s", (_, replace, replaced, there, expected) => {
  expect(replacement(replace, replaced, there)).toBe(expected);
});

test.each([
  ["the old volume is there and may stay long", is("Removing"), {}, false],
  ["it goes", is("Removing"), { claim: "leaving" }, true],
  ["it is gone", is("Removing"), GONE, true],
  ["the new one is there", is("Rebuilding"), { pod: "new" }, true],
  ["it is done", is("Done"), { pod: "new", word: "new" }, false],
] as const)("replacing: its memory may be given up: %s", (_, replaced, there, may) => {
  expect(planned(X, replaced, there).permits.rebuild !== undefined).toBe(may);
});

test("replacing: what is said is why the act under way was asked for, not another one", () => {
  const said = (wanted: typeof X) => sayReplacing(planned(wanted, is("Rebuilding"), GONE), wanted);
  expect(said(X)?.message).toBe("campus b: rebuilding (its node is gone)");
  expect(said({ ...Y, reason: "slow" })?.message).toBe("campus b: rebuilding (x)");
});

test("replacing: a volume that is gone by an act under way is not missed", () => {
  expect(planned(undefined, undefined, GONE).lost).toEqual(["a", "b", "c"]);
  expect(planned(X, is("Removing"), GONE).lost).toEqual(["a", "c"]);
});

/** Volumes of a and b are there unless they are named in `gone`; c has no node yet, or says that it is well. */
function firstDisks(status: KvGroupStatus, { gone = "", isThere = false } = {}) {
  const claims = ["a", "b", "c"].filter((campus) => !gone.includes(campus));
  const pods = ["a", "b", "c"].map((campus) => ({
    ...{ name: `main-kvsvr-1-${campus}-0`, workload: "kvsvr-1", campus, trouble: "" },
    ...{ uid: campus, isLeaving: false, node: campus === "c" && !isThere ? "" : "node" },
  }));
  const serving = ["a", "b", ...(isThere ? ["c"] : [])].filter((campus) => !gone.includes(campus));
  const observed = {
    ...{ nowMs: 0, pods, nodes: new Map([["node", { isReady: true }]]) },
    words: new Map(
      serving.map((campus) => [`kvsvr-1/${campus}`, { unready: "", pod: campus }] as const),
    ),
    children: new Map(
      claims.map((campus) => [
        `PersistentVolumeClaim/main-kvsvr-1-${campus}`,
        { kind: "PersistentVolumeClaim", isLeaving: false },
      ]),
    ),
  } as unknown as Observed;
  const spec = sampleGroup(1);
  const group = { name: "main-1", uid: "g", resourceVersion: "1", generation: 1, spec, status };
  const { bootstrap, made, volumes, lost, permits } = planGroup(observed, site, group);
  return { bootstrap, made, volumes, lost, permits };
}

const made = (...campuses: string[]) => campuses.map((campus) => ({ service: "kvsvr", campus }));

test("first disks: who has served has one, and gets no second one while another campus never comes (S3)", () => {
  const begun = firstDisks({ bootstrap: "Permitted" });
  expect(begun).toMatchObject({ bootstrap: "Permitted", made: ["a", "b"], lost: [] });
  const noted: KvGroupStatus = { bootstrap: "Permitted", made: ["a", "b"] };
  expect(firstDisks(noted, { gone: "a" })).toEqual({
    ...{ bootstrap: "Permitted", made: ["a", "b"], volumes: ["b", "c"], lost: ["a"] },
    permits: { bootstrap: ["kvsvr"], made: made("a", "b") },
  });
  expect(firstDisks(noted, { gone: "a", isThere: true })).toMatchObject({
    ...{ bootstrap: "Done", made: [], lost: ["a"] },
  });
  expect(firstDisks({ bootstrap: "Done" }, { gone: "c" })).toMatchObject({
    ...{ bootstrap: "Done", volumes: ["a", "b"], lost: ["c"], permits: {} },
  });
});
