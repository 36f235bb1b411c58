import { expect, test } from "vitest";
import type { DataCenterStatus } from "../api/data-center.ts";
import { sampleDataCenter, sampleInputs } from "../testing/samples.ts";
import type { Observed } from "./observed.ts";
import { planLogs, sharedPermits } from "./queue-logs.ts";

const { site } = sampleInputs("n");
const REPLACE = { act: "x", campus: "b", reason: "its node is gone" };

/** Pods of a and c are ready unless named in `weak`; campus b has lost its volume. */
function lostB(
  changes: object,
  status: DataCenterStatus = { bootstrap: "Done" },
  { weak = "", there = "ac", madeBy = "" } = {},
) {
  const pods = ["a", "b", "c"].map((campus) => ({
    ...{ name: `main-queuelog-${campus}-0`, workload: "queuelog", campus, isLeaving: false },
    ...{ uid: campus, node: campus === "b" ? "" : "node" },
    isReady: campus !== "b" && campus !== weak,
  }));
  const claims = [...there].map((campus) => [
    `PersistentVolumeClaim/main-queuelog-${campus}`,
    { kind: "PersistentVolumeClaim", isLeaving: false, claim: { madeBy }, workload: "queuelog" },
  ]);
  const dataCenter = { spec: sampleDataCenter(changes), status };
  const observed = { pods, nodes: new Map(), children: new Map(claims as never), dataCenter };
  return planLogs(observed as unknown as Observed, site);
}

test("queue logs: a volume that is lost is missed until somebody says by name what now", () => {
  expect(lostB({})).toMatchObject({ lost: ["b"], volumes: ["a", "c"], replaced: undefined });
  const asked = lostB({ replaceLogs: REPLACE });
  expect(asked).toMatchObject({ lost: [], replaced: { act: "x", phase: "Removing" } });
  const noted = { act: "x", campus: "b", phase: "Rebuilding" } as const;
  const remade = lostB({ replaceLogs: REPLACE }, { bootstrap: "Done", replacedLogs: noted });
  expect(remade).toMatchObject({ lost: [], volumes: ["a", "b", "c"] });
  expect(remade.permits.rebuild?.map(({ service }) => service)).toEqual([
    "queuelog-1",
    "queuelog-2",
  ]);
});

test("queue logs: they give up no memory while the volume that is to go stays", () => {
  const replacedLogs = { act: "x", campus: "b", phase: "Removing" } as const;
  const rebuildOf = (there: string) => {
    const { permits } = lostB(
      { replaceLogs: REPLACE },
      { bootstrap: "Done", replacedLogs },
      { there },
    );
    return permits.rebuild?.length;
  };
  expect(rebuildOf("abc")).toBeUndefined();
  expect(rebuildOf("ac")).toBe(2);
});

test("queue logs: an act that a volume bears is not done again, whatever became of the status", () => {
  const done = { there: "abc", madeBy: "x" };
  const { replaced, actions } = lostB({ replaceLogs: REPLACE }, { bootstrap: "Done" }, done);
  expect(replaced).toEqual({ act: "x", campus: "b", phase: "Done" });
  expect(actions).toEqual([]);
});

test("queue logs: what a new volume is filled from is waited for", () => {
  const { waitsFor, replaced } = lostB(
    { replaceLogs: REPLACE },
    { bootstrap: "Done" },
    { weak: "c" },
  );
  expect(replaced).toBeUndefined();
  expect(waitsFor).toMatch(
    /^a new disk is filled from both others, and the queue logs in campus c/,
  );
});

test("queue logs: with profile Dev they go and come back with the replica whose volume it is", () => {
  expect(lostB({ profile: "Dev" }).lost).toEqual([]);
  const rebuild = [{ service: "kvsvr", campus: "b", token: "x" } as const];
  expect(sharedPermits({ rebuild }, { bootstrap: [] })).toEqual({
    bootstrap: [],
    rebuild: ["kvsvr", "queuelog-1", "queuelog-2"].map((service) => ({ ...rebuild[0], service })),
  });
});
