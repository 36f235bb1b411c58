/**
 * The phases of a move of slots from one KV group to another (S9). Pure: every step is a change of one
 * row, made by compare-and-set by whichever replica finds it due, so there is no mover that could die.
 *
 *   copy ----> seal ----> swapped ----> clean ----> over
 *     `-----> cancelled --------------------------> over
 *
 *   copy     -> seal     three targets are ready; or two, and the third cannot be for a while
 *   seal     -> swapped  two of three have taken over: from here on the map names the target
 *   swapped  -> clean    all three have: what lies at the source is nobody's any more
 *   clean    -> over     all three of the source have deleted it
 *
 * Before `seal` nothing has happened that could not be dropped; after it nothing can be taken back.
 */
import {
  MovePhase,
  type SlotMove,
  type Slots,
  TargetStage,
} from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { withGroup } from "./slot-map.ts";

const REPLICAS = 3;

export type Report =
  | { readonly report: "stage"; readonly stage: TargetStage }
  | { readonly report: "cleaned" }
  /** Two targets have been ready for long, and the third cannot get there. */
  | { readonly report: "goOnWithTwo" };

/** The row once replica `replica` has reported; undefined: it changes nothing. */
export function planReport(
  slots: Slots,
  { number, replica }: { number: number; replica: number },
  report: Report,
): Slots | undefined {
  const { move } = slots;
  if (move === undefined || move.number !== number) return undefined;
  switch (report.report) {
    case "stage":
      return planStage(slots, move, { replica, stage: report.stage });
    case "cleaned":
      return planCleaned(slots, move, replica);
    case "goOnWithTwo":
      if (move.phase !== MovePhase.COPY || count(move, TargetStage.READY) < 2) return undefined;
      return { ...slots, move: { ...move, phase: MovePhase.SEAL } };
  }
}

function planStage(
  slots: Slots,
  move: SlotMove,
  { replica, stage }: { replica: number; stage: TargetStage },
): Slots | undefined {
  const { phase } = move;
  const isCopying = phase === MovePhase.COPY;
  const isTaking = phase === MovePhase.SEAL || phase === MovePhase.SWAPPED;
  // To have copied means something while it is copied, to own after that.
  const isOfTaking = owns(stage) || stage === TargetStage.JOINING;
  if (!(isOfTaking ? isTaking : isCopying)) return undefined;
  const before = move.targets[replica];
  if (before === stage || (owns(before) && owns(stage))) return undefined;
  const isNew = before === TargetStage.JOINING && owns(stage);
  const reached = isNew ? TargetStage.JOINED : stage;
  const targets = move.targets.map((other, i) => (i === replica ? reached : other));
  return advanced(slots, { ...move, targets });
}

/** What follows at once when the targets have come so far. */
function advanced(slots: Slots, move: SlotMove): Slots {
  const { phase, ranges, to } = move;
  const owned = move.targets.filter(owns).length;
  if (phase === MovePhase.COPY && count(move, TargetStage.READY) === REPLICAS)
    return { ...slots, move: { ...move, phase: MovePhase.SEAL } };
  if (phase === MovePhase.SEAL && owned >= 2) {
    const keyspaces = withGroup(slots, ranges, to);
    return { ...slots, keyspaces, move: { ...move, phase: MovePhase.SWAPPED } };
  }
  if (phase === MovePhase.SWAPPED && owned === REPLICAS)
    return { ...slots, move: { ...move, phase: MovePhase.CLEAN } };
  return { ...slots, move };
}

function planCleaned(slots: Slots, move: SlotMove, replica: number): Slots | undefined {
  const isCleaning = move.phase === MovePhase.CLEAN || move.phase === MovePhase.CANCELLED;
  if (!isCleaning || move.cleaned[replica] === true) return undefined;
  const cleaned = move.cleaned.map((before, i) => before || i === replica);
  if (cleaned.includes(false)) return { ...slots, move: { ...move, cleaned } };
  const [next, ...waiting] = slots.waiting;
  return { ...slots, move: next, waiting };
}

/** The replica votes on the slots. */
export function owns(stage: TargetStage | undefined): boolean {
  return stage === TargetStage.OWNED || stage === TargetStage.JOINED;
}

function count({ targets }: SlotMove, stage: TargetStage): number {
  return targets.filter((one) => one === stage).length;
}

export type SlotDecision =
  | { readonly verdict: "set"; readonly slots: Slots }
  | { readonly verdict: "refused"; readonly reason: string };

export type WantedMove = Pick<SlotMove, "ranges" | "from" | "to">;

/** Begins moves, one after the other. */
export function planMoves(
  slots: Slots,
  wanted: readonly WantedMove[],
  noted: Pick<SlotMove, "who" | "why" | "begunAtMs">,
): SlotDecision {
  if (slots.move !== undefined) {
    const { number, who } = slots.move;
    const reason = `move ${number}, begun by ${who}, is under way: wait for its end, or cancel it`;
    return { verdict: "refused", reason };
  }
  const moves = wanted.map(
    ({ ranges, from, to }, i): SlotMove => ({
      ...noted,
      ...{ number: slots.lastNumber + 1 + i, ranges, from, to, phase: MovePhase.COPY },
      targets: new Array<TargetStage>(REPLICAS).fill(TargetStage.COPYING),
      cleaned: new Array<boolean>(REPLICAS).fill(false),
    }),
  );
  const [move, ...waiting] = moves;
  if (move === undefined)
    return { verdict: "refused", reason: "these slots are there already: nothing to move" };
  const lastNumber = slots.lastNumber + moves.length;
  return { verdict: "set", slots: { ...slots, move, waiting, lastNumber } };
}

/** Ends the move under way while that is possible, and those that wait in any case. */
export function planCancel(slots: Slots): SlotDecision {
  const { move, waiting } = slots;
  if (move === undefined) return { verdict: "refused", reason: "no move is under way" };
  if (move.phase === MovePhase.COPY) {
    const cancelled = { ...move, phase: MovePhase.CANCELLED };
    return { verdict: "set", slots: { ...slots, move: cancelled, waiting: [] } };
  }
  if (waiting.length > 0) return { verdict: "set", slots: { ...slots, waiting: [] } };
  const reason = `move ${move.number} cannot be taken back any more: its slots are on their way`;
  return { verdict: "refused", reason };
}
