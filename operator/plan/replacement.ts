/**
 * A volume that is lost, or whose node is gone for good, is replaced by a named act of a person: Removing (volume and
 * pod go) -> Rebuilding (a new volume, filled from both others) -> Done. Pure.
 */
import type { Replace, Replaced } from "../api/schema.ts";
import type { Action } from "./actions.ts";
import { type Statement, say } from "./conditions.ts";
import type { Child, Observed, Pod } from "./observed.ts";

export interface Replaceable {
  readonly wanted: Replace | undefined;
  /** By the status. */
  readonly before: Replaced | undefined;
  readonly isPaused: boolean;
  readonly workload: string;
  /** By campus. */
  readonly claims: ReadonlyMap<string, Child | undefined>;
  /** Why what a new volume is filled from must not be counted on, in words; undefined: it may be. */
  readonly weakness: (campus: string) => string | undefined;
}

export interface Replacement {
  readonly replaced: Replaced | undefined;
  readonly actions: readonly Action[];
  /** Why the act waits; undefined: it does not. */
  readonly waitsFor: string | undefined;
}

export function planReplacement(observed: Observed, facts: Replaceable): Replacement {
  const { wanted, before, isPaused, claims, weakness } = facts;
  const standing: Replacement = { replaced: before, actions: [], waitsFor: undefined };
  if (isPaused) return standing;
  if (before !== undefined && before.phase !== "Done") return carryOn(observed, facts, before);
  if (wanted === undefined) return standing;
  const { act, campus } = wanted;
  const claim = claims.get(campus);
  if (before?.act === act)
    return { ...standing, actions: notes(claims.get(before.campus), before) };
  // A status can be lost, with an earlier version of the operator or in a copy of the cluster.
  if (claim?.claim?.madeBy === act)
    return { ...standing, replaced: { act, campus, phase: "Done" } };
  if (!claims.has(campus)) {
    return { ...standing, waitsFor: `there is no campus ${campus} in this data centre` };
  }
  const others = [...claims.keys()].filter((other) => other !== campus);
  const [weak] = others.flatMap((other) => weakness(other) ?? []);
  if (weak !== undefined) {
    return { ...standing, waitsFor: `a new disk is filled from both others, and ${weak}` };
  }
  return { ...standing, replaced: { act, campus, phase: "Removing" } };
}

/**
 * An act that has begun is brought to its end, whatever the spec says by then: a volume that is to go cannot stay,
 * and a permit must not outlive the act. Taken back before that, it is given up.
 */
function carryOn(
  observed: Observed,
  { wanted, claims, workload, weakness }: Replaceable,
  begun: Replaced,
): Replacement {
  const { act, campus, phase } = begun;
  const standing: Replacement = { replaced: begun, actions: [], waitsFor: undefined };
  const claim = claims.get(campus);
  if (phase === "Removing") {
    const isWanted = wanted?.act === act && wanted.campus === campus;
    if (!isWanted && claim?.isLeaving === false) return { ...standing, replaced: undefined };
    const pod = observed.pods.find((one) => one.workload === workload && one.campus === campus);
    // The next pod has no place until it has a volume, and reads its permit when it starts.
    const isGone = claim === undefined && (pod === undefined || pod.node === "");
    if (isGone) return { ...standing, replaced: { ...begun, phase: "Rebuilding" } };
    const why = `replaced by hand (${isWanted ? wanted.reason : act})`;
    return { ...standing, actions: removal(observed, { begun, claim, pod, why }) };
  }
  const actions = notes(claim, begun);
  const isMade = claim?.isLeaving === false && actions.length === 0;
  const isDone = isMade && weakness(campus) === undefined;
  return isDone ? { ...standing, replaced: { ...begun, phase: "Done" } } : { ...standing, actions };
}

/** That the volume was made by the act is noted on it, unless it is already. */
function notes(claim: Child | undefined, { act }: Replaced): Action[] {
  if (claim === undefined || claim.isLeaving || claim.claim?.madeBy === act) return [];
  const { name, uid } = claim;
  return [{ act: "note-act", name, uid, noted: act, why: `made by ${act}` }];
}

function removal(
  { nodes }: Pick<Observed, "nodes">,
  {
    begun: { act, campus },
    claim,
    pod,
    why,
  }: { begun: Replaced; claim: Child | undefined; pod: Pod | undefined; why: string },
): Action[] {
  const base = { act: "delete", disturbs: campus, namedAct: act, why } as const;
  const actions: Action[] = [];
  if (claim !== undefined && !claim.isLeaving) {
    const { kind, name, uid } = claim;
    actions.push({ ...base, kind, name, uid, isForced: false });
  }
  // The volume goes when the pod is gone, which a node that is away will never confirm.
  const isAway = pod !== undefined && nodes.get(pod.node)?.isReady !== true;
  if (pod !== undefined && pod.node !== "" && (!pod.isLeaving || isAway)) {
    actions.push({ ...base, kind: "Pod", name: pod.name, uid: pod.uid, isForced: isAway });
  }
  return actions;
}

/** What is being replaced there is not missed: an act that would be asked for is under way. */
export function isReplacedNow(replaced: Replaced | undefined, campus: string): boolean {
  return isUnderWay(replaced) && replaced.campus === campus;
}

function isUnderWay(replaced: Replaced | undefined): replaced is Replaced {
  return replaced !== undefined && replaced.phase !== "Done";
}

/** By what the status says already: whoever comes next must not take the new volume for the old one. */
export function isRemade(noted: Replaced | undefined, campus: string): boolean {
  return noted?.campus === campus && noted.phase === "Rebuilding";
}

/**
 * Whether a process there may give up what it remembers: not while its volume is the old one and stays, for that
 * may wait long, and a process that starts meanwhile would give up what others perhaps stand on by then.
 */
export function mayRebuild(
  replaced: Replaced | undefined,
  claims: Replaceable["claims"],
): replaced is Replaced {
  if (!isUnderWay(replaced)) return false;
  return replaced.phase === "Rebuilding" || claims.get(replaced.campus)?.isLeaving !== false;
}

/** Of an act, one line, as it is written beside the disk. */
export function tokenOf({ act }: Replaced): string {
  return act.replaceAll(/\s+/g, " ").trim();
}

/** What is said of it; undefined: nothing is under way. */
export function sayReplacing(
  { replaced, waitsFor }: Omit<Replacement, "actions">,
  wanted: Replace | undefined,
): Statement | undefined {
  if (waitsFor !== undefined) return say("Progressing", true, "ReplaceWaits", waitsFor);
  if (!isUnderWay(replaced)) return undefined;
  const why = wanted?.act === replaced.act ? wanted.reason : replaced.act;
  const text = `campus ${replaced.campus}: ${replaced.phase.toLowerCase()} (${why})`;
  return say("Progressing", true, "Replacing", text);
}
