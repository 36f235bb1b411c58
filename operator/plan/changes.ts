/** What differs between what should be and what is, as actions in the order to take them. Pure. */
import type { Action } from "./actions.ts";
import type { Desired, Wanted } from "./desired.ts";
import { type Child, childKey, type Pod } from "./observed.ts";
import type { CampusHealth, Turn } from "./turn.ts";
import { whoseTurn } from "./turn.ts";

export interface Changes {
  readonly actions: readonly Action[];
  /** Whose turn it is to be disturbed, or why nobody's. */
  readonly turn: Turn;
  /** Campuses in which pods are still to be replaced. */
  readonly wanting: ReadonlySet<string>;
}

interface Facts {
  readonly desired: Wanted;
  /** The API server has refused just that. */
  readonly isRefused: (wanted: Desired) => boolean;
  /** Nothing of that workload is to be changed; nothing else waits for what it lacks. */
  readonly isPaused: (workload: string) => boolean;
  readonly children: ReadonlyMap<string, Child>;
  readonly pods: readonly Pod[];
  readonly campuses: readonly CampusHealth[];
  /** What is known of pods may be over: one that could not run perhaps runs, and is what its service stands on. */
  readonly isOld: boolean;
}

export function changesBetween(facts: Facts): Changes {
  const { desired, children, pods, campuses, isRefused, isPaused, isOld } = facts;
  const areLost = (some: readonly Pod[]) => !isOld && areHopeless(some);
  const free: Action[] = [];
  let disturbing = new Map<string, Action[]>();
  /** The same, of what the server has refused: tried again when nothing else waits for a turn. */
  const objected = new Map<string, Action[]>();
  const isFree = ({ workload }: { workload: string }) => !isPaused(workload);
  const all = desired === "as it is" ? [] : desired.filter(isFree);
  // What is refused is waited for by nobody: later stages can do without a single thing of earlier ones.
  const isHeld = heldBy(all, isRefused);
  const missing = firstMissingStage(
    all.filter((wanted) => !isRefused(wanted)),
    children,
  );
  for (const wanted of all) {
    if (wanted.stage > missing) continue;
    const child = children.get(wanted.key);
    if (child?.digest === wanted.digest || child?.isLeaving || isHeld(wanted)) continue;
    const isReplacing =
      wanted.kind === "Deployment" && child !== undefined && child.template !== wanted.template;
    const isDisturbing = isReplacing && !areLost(podsOf(pods, wanted));
    const why = child === undefined ? "it is missing" : "it differs from what is wanted";
    const { kind, name, object, digest, campus } = wanted;
    const disturbs = isDisturbing ? campus : undefined;
    const action: Action = { act: "apply", kind, name, object, digest, disturbs, why };
    if (isDisturbing) push(isRefused(wanted) ? objected : disturbing, campus, action);
    else free.push(action);
  }
  for (const pod of outdated(desired, children, pods).filter(isFree)) {
    if (areLost([pod])) free.push(removalOf(pod));
    else push(disturbing, pod.campus, evictionOf(pod));
  }
  if (disturbing.size === 0) disturbing = objected;
  // A refused eviction keeps its campus's turn: somebody wants the pod to stay, and a roll that went on elsewhere would
  // leave the platform half of one version and half of another for as long.
  const wanting = new Set(disturbing.keys());
  const turn = whoseTurn(campuses, wanting);
  const mine = turn.turn === "given" ? disturbing.get(turn.campus)! : [];
  const isFirst = (action: Action) => action.act === "evict";
  const hasState = turn.turn === "given" && isStateBack(turn.campus, { all, children, pods });
  return { actions: [...free, ...(hasState ? mine : mine.filter(isFirst))], turn, wanting };
}

/**
 * What keeps state in a campus is replaced first, and what has none when that is back: all processes of a campus
 * that start at once would take the cores from those that serve. A pod that has no node, or cannot run, is not
 * waited for: perhaps what would follow is what makes room for it.
 */
function isStateBack(
  campus: string,
  { all, children, pods }: { all: readonly Desired[] } & Pick<Facts, "children" | "pods">,
): boolean {
  const sets = all.filter((wanted) => wanted.kind === "StatefulSet" && wanted.campus === campus);
  return sets.every((wanted) => {
    const child = children.get(wanted.key);
    if (child === undefined || child.template !== wanted.template || !child.isSettled) return false;
    const own = podsOf(pods, wanted);
    const isBack = (pod: Pod) => {
      const cannotRun = pod.node === "" || pod.trouble !== "";
      return pod.template === wanted.template && !pod.isLeaving && (pod.isReady || cannotRun);
    };
    return own.length > 0 && own.every(isBack);
  });
}

/** Pods are not made, or made anew, while what they read at their start is refused. */
function heldBy(all: readonly Desired[], isRefused: Facts["isRefused"]) {
  const configs = all.filter((one) => one.kind === "ConfigMap" && one.workload !== "");
  const held = new Set(configs.filter(isRefused).map(({ workload }) => workload));
  const isOfPods = ({ kind }: Desired) => kind === "StatefulSet" || kind === "Deployment";
  return (wanted: Desired) => isOfPods(wanted) && held.has(wanted.workload);
}

/** The first stage of which something is not there at all. */
function firstMissingStage(
  desired: readonly Desired[],
  children: ReadonlyMap<string, Child>,
): number {
  const missing = desired.filter(({ key }) => !children.has(key));
  return Math.min(Number.POSITIVE_INFINITY, ...missing.map(({ stage }) => stage));
}

/** Pods of StatefulSets that are of an earlier template: nobody but the operator replaces them. */
function outdated(
  desired: Wanted,
  children: ReadonlyMap<string, Child>,
  pods: readonly Pod[],
): Pod[] {
  const wanted =
    desired === "as it is"
      ? [...children.values()]
      : desired.filter(({ key, template }) => children.get(key)?.template === template);
  // Before its controller has seen the new template, it would make the old pod once more.
  const isSeen = ({ kind, name }: { kind: string; name: string }) =>
    kind === "StatefulSet" && children.get(childKey(kind, name))?.isSettled === true;
  const sets = wanted.filter(isSeen);
  return sets.flatMap((set) =>
    podsOf(pods, set).filter((pod) => pod.template !== set.template && !pod.isLeaving),
  );
}

function podsOf(
  pods: readonly Pod[],
  { workload, campus }: Pick<Desired, "workload" | "campus">,
): Pod[] {
  return pods.filter((pod) => pod.workload === workload && pod.campus === campus);
}

/** None of them can run as it is, so nothing is lost with them. */
function areHopeless(pods: readonly Pod[]): boolean {
  return pods.length > 0 && pods.every(({ trouble }) => trouble !== "");
}

const NEWER_TEMPLATE = "its StatefulSet has a newer template";

function evictionOf({ name, uid, campus }: Pod): Action {
  return { act: "evict", name, uid, disturbs: campus, why: NEWER_TEMPLATE };
}

/**
 * Of a pod that cannot run, without asking the budgets that guard it: they would refuse just when pods of several
 * campuses cannot run, and nothing that serves is lost with it.
 */
function removalOf({ name, uid }: Pod): Action {
  return {
    act: "delete",
    kind: "Pod",
    name,
    uid,
    disturbs: undefined,
    namedAct: undefined,
    isForced: false,
    why: NEWER_TEMPLATE,
  };
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const found = map.get(key);
  if (found === undefined) map.set(key, [value]);
  else found.push(value);
}
