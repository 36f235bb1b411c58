import { expect, test } from "vitest";
import { Rig } from "../testing/rig.ts";
import { ZONES } from "../testing/samples.ts";
import type { Node, Pod } from "./observed.ts";
import { misplacements } from "./placement.ts";

const zones = new Map(Object.entries(ZONES));

const node = (name: string, zone: string, rack = ""): [string, Node] => [
  name,
  { resourceVersion: "1", name, zone, rack, isReady: true, address: "" },
];
const nodes = new Map([
  ...Object.entries(ZONES).map(([campus, zone]) => node(`node-${campus}`, zone)),
  node("rack-a", ZONES.a, "r1"),
  node("rack-b", ZONES.b, "r1"),
  node("nowhere", ""),
]);

function pod(workload: string, campus: string, on: string, isLeaving = false): Pod {
  const facts = { resourceVersion: "1", uid: on, dataCenter: "main", template: "", image: "" };
  const state = { isReady: true, readySinceMs: 0, isLeaving, trouble: "" };
  return { ...facts, ...state, name: `${workload}-${campus}`, workload, campus, node: on };
}

test.each<[string, Pod[], string[], string[]]>([
  ["apart", [pod("logic", "a", "node-a"), pod("logic", "b", "node-b")], [], []],
  ["no place yet", [pod("logic", "a", "")], [], []],
  ["several of one campus", [pod("x", "a", "rack-a"), pod("x", "a", "rack-a")], [], []],
  ["different workloads in a rack", [pod("x", "a", "rack-a"), pod("y", "b", "rack-b")], [], []],
  ["one that leaves", [pod("logic", "a", "node-b", true)], [], []],
  ["another zone", [pod("logic", "a", "node-b")], ["a"], ["in zone campus-b"]],
  ["no zone", [pod("logic", "a", "nowhere")], ["a"], ["in no zone"]],
  [
    "one node of two campuses",
    [pod("logic", "b", "node-b"), pod("logic", "a", "node-b")],
    ["a", "a,b"],
    ["in zone campus-b", "share node node-b"],
  ],
  [
    "one rack of two campuses",
    [pod("kvsvr-1", "b", "rack-b"), pod("kvsvr-1", "a", "rack-a")],
    ["a,b"],
    ["share rack r1"],
  ],
])("placement: %s", (_, pods, campuses, said) => {
  const found = misplacements(pods, nodes, zones);
  expect(found.map((one) => one.campuses.join())).toEqual(campuses);
  for (const [i, words] of said.entries()) expect(found[i]!.message).toContain(words);
});

test("placement: a rack that two campuses share is said by both, and not by the third", async () => {
  const rack = { "tricampus.dev/rack": "r1" };
  const planted = Object.entries(ZONES).map(([campus, zone]) => {
    return { name: `node-${campus}`, zone, labels: campus === "c" ? {} : rack };
  });
  const rig = await Rig.open({ nodes: planted });
  try {
    await rig.startOperator();
    rig.install();
    await rig.settled();
    const said = ["a", "b", "c"].map((campus) => rig.condition("Campus", campus, "Placed"));
    expect(said).toEqual(["False Misplaced", "False Misplaced", "True AllApart"]);
    expect(rig.message("Campus", "a", "Placed")).toContain("share rack r1");
  } finally {
    await rig.close();
  }
});
