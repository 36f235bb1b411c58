/** Each check is shown a plan that it must refuse, and one that it must not. */
import { expect, test } from "vitest";
import type { ReplicaStatus } from "../api/kv-group.ts";
import type { Action } from "./actions.ts";
import { CHECKS, type CheckFacts, violations } from "./checks.ts";

const WHOLE = ["a", "b", "c"].map((campus) => ({ campus, trouble: undefined, isBlocked: false }));

function replicas(states: string): ReplicaStatus[] {
  return ["a", "b", "c"].map((campus, i) => {
    const state = states[i] === "." ? "ok" : "down";
    return { campus, state, message: "", node: "" };
  });
}

function facts(given: Partial<{ health: CheckFacts["health"]; states: string; zones: string }>) {
  const group = { name: "main-1" };
  const campuses = ["a", "b", "c"].map((name, i) => ({ name, zone: (given.zones ?? "xyz")[i] }));
  return {
    health: given.health ?? WHOLE,
    plans: [{ group, replicas: replicas(given.states ?? "...") }],
    observed: { dataCenter: { spec: { profile: "Standard", campuses } } },
  } as unknown as CheckFacts;
}

function restart(campus: string): Action {
  return { act: "evict", name: `main-kvsvr-1-${campus}-0`, uid: "u", disturbs: campus, why: "" };
}

function removal(kind: string, namedAct?: string): Action {
  const object = { act: "delete", kind, name: "main-kvsvr-1-a", uid: "u" } as const;
  return { ...object, disturbs: "a", namedAct, isForced: false, why: "" };
}

const CLAIM = removal("PersistentVolumeClaim");

test("checks: a quiet plan passes them all", () => {
  expect(violations([restart("b")], facts({}))).toEqual([]);
});

test.each([
  ["oneCampusAtATime", [restart("a"), restart("b")], {}, "disturbs campuses a and b at once"],
  [
    "othersAreWhole",
    [restart("a")],
    { health: [WHOLE[0]!, { ...WHOLE[1]!, trouble: "a pod is not ready" }, WHOLE[2]!] },
    "campus a would be disturbed while b is not whole: a pod is not ready",
  ],
  [
    "othersAreWhole",
    [restart("a")],
    { health: [WHOLE[0]!, WHOLE[1]!, { ...WHOLE[2]!, isBlocked: true }] },
    "campus a would be disturbed while c is blocked",
  ],
  [
    "othersAreWhole",
    [restart("a")],
    { health: [WHOLE[0]!, WHOLE[1]!, { ...WHOLE[2]!, isBlocked: undefined }] },
    "campus a would be disturbed while c may be blocked",
  ],
  ["quorumIsKept", [restart("a")], { states: ".!." }, "while main-1's in b is down"],
  ["quorumIsKept", [removal("Pod", "an act")], { states: "..!" }, "while main-1's in c is down"],
  ["dataIsKept", [CLAIM], {}, "main-kvsvr-1-a would be deleted, and nobody has said so by name"],
  [
    "zonesDiffer",
    [restart("a")],
    { zones: "xyx" },
    "two campuses of the data centre are in one zone",
  ],
] as const)("checks: %s refuses", (name, actions, given, message) => {
  expect(CHECKS[name]!(actions, facts(given)).join()).toContain(message);
});

test("checks: a campus that is away may be disturbed further, and data deleted by a named act", () => {
  const away = [WHOLE[0]!, { ...WHOLE[1]!, trouble: "away" }, WHOLE[2]!];
  expect(violations([restart("b")], facts({ health: away, states: ".!." }))).toEqual([]);
  expect(violations([removal("PersistentVolumeClaim", "replace it")], facts({}))).toEqual([]);
});
