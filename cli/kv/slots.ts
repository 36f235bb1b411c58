/** What the commands about slots share: how they are counted, shown, and waited for. */
import {
  MovePhase,
  type SlotMove,
  type Slots,
  TargetStage,
} from "../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { ControlTable } from "../../services/control/client.ts";
import { nameOfSpan, owns } from "../../services/control/slots-client.ts";
import { slotOf } from "../../services/kvsvr/client.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { whyNotServing } from "../caught-up.ts";
import { EXIT, Failure } from "../failure.ts";
import { groupOf } from "./groups.ts";
import { keyspaceName, type OperatorParts } from "./store.ts";

const POLL_MS = 100;

/** Keys by keyspace and slot, as one replica of each group that serves them lists them. */
export type KeyCounts = (keyspace: number, slot: number) => number;

export async function countKeys({ groups, shards }: OperatorParts): Promise<KeyCounts> {
  const counts = new Map<number, number>();
  for (const { group, replicas } of groups) {
    const refusals = await Promise.all(replicas.campuses.map((_, i) => replicas.refusal(i)));
    const replica = refusals.indexOf(undefined);
    if (replica < 0)
      throw new Failure(EXIT.unreachable, `no replica of group ${group} answers: ${refusals[0]}`);
    for await (const { key } of replicas.compare([replica])) {
      if (groupOf(shards, key) !== group) continue;
      const at = key.keyspace * 65_536 + slotOf(key.key);
      counts.set(at, (counts.get(at) ?? 0) + 1);
    }
  }
  return (keyspace, slot) => counts.get(keyspace * 65_536 + slot) ?? 0;
}

/** Throws when a replica that a move needs does not serve, or a campus is blocked. */
export async function requireQuiet(
  { inspector }: OperatorParts,
  numbers: Iterable<number>,
): Promise<void> {
  const blocks = await new ControlTable(inspector.callee("kvsvr")).blocks();
  const block = blocks.find(({ what }) => !what.includes("/") || what.includes("/kvsvr"));
  if (block !== undefined)
    throw refused(
      `${block.what} is blocked by ${block.who} (${block.why}): its replicas may be needed`,
    );
  for (const number of new Set(numbers)) {
    for (const campus of inspector.campuses) {
      const reason = await whyNotServing(inspector, { group: KV_GROUPS[number - 1]!, campus });
      if (reason === undefined) continue;
      throw refused(
        `the replica of group ${number} in campus ${campus} does not serve (${reason})`,
      );
    }
  }
}

function refused(reason: string): Failure {
  return new Failure(EXIT.failed, `${reason}; a move would wait for it: wait, or add --force`);
}

const PHASES: Readonly<Record<number, string>> = {
  [MovePhase.COPY]: "copying",
  [MovePhase.SEAL]: "changing hands",
  [MovePhase.SWAPPED]: "changed hands, a replica is on its way",
  [MovePhase.CLEAN]: "over, the source cleans up",
  [MovePhase.CANCELLED]: "cancelled, the target cleans up",
};

/** "move 3 (account 0-4095, from group 1 to 2): copying, 2 of 3 ready; 4 more wait" */
export function describeMove({ move, waiting }: Slots): string | undefined {
  if (move === undefined) return undefined;
  const more = waiting.length === 0 ? "" : `; ${waiting.length} more wait`;
  return `move ${move.number} (${describeRanges(move)}): ${describeProgress(move)}${more}`;
}

function describeRanges({ ranges, from, to }: SlotMove): string {
  const names = ranges.slice(0, 3).map((r) => `${keyspaceName(r.keyspace)} ${nameOfSpan(r)}`);
  const rest = ranges.length > 3 ? ` and ${ranges.length - 3} more ranges` : "";
  return `${names.join(", ")}${rest}, from group ${from} to ${to}`;
}

function describeProgress({ phase, targets, cleaned }: SlotMove): string {
  const count = (isSo: (stage: TargetStage) => boolean) => targets.filter(isSo).length;
  const name = PHASES[phase] ?? "unknown";
  if (phase === MovePhase.COPY)
    return `${name}, ${count((stage) => stage === TargetStage.READY)} of 3 ready`;
  if (phase === MovePhase.CLEAN || phase === MovePhase.CANCELLED)
    return `${name}, ${cleaned.filter((isClean) => isClean).length} of 3 done`;
  return `${name}, ${count(owns)} of 3 have taken over`;
}

/** Waits for the end of all moves, telling what changes. */
export async function waitForMoves(
  { slots }: OperatorParts,
  tell: (text: string) => void,
): Promise<void> {
  let told = "";
  for (;;) {
    const text = describeMove(await slots.read());
    if (text === undefined) return;
    if (text !== told) tell(text);
    told = text;
    await rest(POLL_MS);
  }
}
