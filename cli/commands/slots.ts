/** `tricampus slots show | move | rebalance | cancel`: which KV group serves which slots. */
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  inMoves,
  MOVES_MAX,
  nameOfSpan,
  planRebalance,
  rangesOf,
  type Span,
  type Transfer,
  transfersTo,
  type WantedMove,
} from "../../services/control/slots-client.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { SLOTS } from "../../services/svrkit/failover/shards.ts";
import { AS, actOf, WHY } from "../act.ts";
import { type CommandCall, type CommandDefinition, numberOption, textOption } from "../command.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import {
  countKeys,
  describeMove,
  type KeyCounts,
  requireQuiet,
  waitForMoves,
} from "../kv/slots.ts";
import {
  KEYSPACE_NAMES,
  KEYSPACE_NUMBERS,
  keyspaceName,
  keyspaceOf,
  type OperatorParts,
  withReplicas,
} from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

/** While the last keys of a move change hands nobody serves them: a bound on how many those can be. */
const KEYS_PER_MOVE = 5_000;

const FORCE = ["--force", "although a campus is blocked or a replica does not serve"] as const;
const NO_WAIT = ["--no-wait", "return at once; `slots show` tells how far it is"] as const;

export const slotsCommands: readonly CommandDefinition[] = [
  {
    name: "slots show",
    summary: "show which KV group serves which slots, how many keys they hold, and moves under way",
    run: (call) => withReplicas(call, (parts) => show(call, parts)),
  },
  {
    name: "slots move",
    summary: "move slots of a keyspace to another KV group, while everything serves",
    arguments: [
      ["<keyspace>", KEYSPACE_NAMES],
      ["<slots>", "like 0-2047, or 17"],
    ],
    options: [["--to <group>", "number of the KV group"], WHY, AS, FORCE, NO_WAIT],
    run: (call) => withReplicas(call, (parts) => move(call, parts)),
  },
  {
    name: "slots rebalance",
    summary: "print what would spread the slots evenly over the KV groups; with --yes, do it",
    options: [
      ["--yes", "do it"],
      ["--without <group>", "leave this group with nothing, so that it can be removed"],
      ...[WHY, AS, FORCE, NO_WAIT],
    ],
    run: (call) => withReplicas(call, (parts) => rebalance(call, parts)),
  },
  {
    name: "slots cancel",
    summary: "cancel the move under way while it copies, and those that wait",
    options: [WHY, AS],
    run: (call) =>
      withReplicas(call, async (parts) => {
        await parts.slots.cancel(actOf(call)).catch(asRefused);
        await waitForMoves(parts, teller(call));
        if (call.json) printJson({ cancelled: true });
        else console.log("Cancelled: what was not moved yet stays where it is.");
        return EXIT.ok;
      }),
  },
];

/** The control table tells where everything is, so it stays where everybody looks for it. */
const MOVABLE = KEYSPACE_NUMBERS.filter((number) => number !== Keyspace.CONTROL);

async function show(call: CommandCall, parts: OperatorParts): Promise<ExitCode> {
  const slots = await parts.slots.read();
  const keysIn = await countKeys(parts);
  const ranges = KEYSPACE_NUMBERS.flatMap((keyspace) => rangesOf(slots, keyspace)).map((range) => {
    const { keyspace, first, last, group } = range;
    return { keyspace: keyspaceName(keyspace), first, last, group, keys: keysOf(range, keysIn) };
  });
  const copied = slots.move === undefined ? null : await keysCopied(parts, slots.move.to);
  if (call.json) {
    printJson({
      groups: parts.inspector.kvGroups.length,
      ranges,
      move: describeMove(slots) ?? null,
      copied,
    });
    return EXIT.ok;
  }
  const rows = ranges.map((r) => [
    r.keyspace,
    nameOfSpan({ ...r, keyspace: 0 }),
    `${r.group}`,
    `${r.keys}`,
  ]);
  console.log(formatTable(["keyspace", "slots", "group", "keys"], rows));
  const text = describeMove(slots);
  if (text !== undefined) console.log(`${text}; ${copied} keys copied since its replicas started`);
  return EXIT.ok;
}

/** By the target's replica that has copied least. */
async function keysCopied({ inspector }: OperatorParts, group: number): Promise<number> {
  const service = KV_GROUPS[group - 1]!;
  const processes = inspector.processes.filter(({ services }) => services.includes(service));
  const statuses = await inspector.statuses(new Set(processes.map(({ name }) => name)));
  const counts = [...statuses.values()].map(
    ({ monitors }) => monitors.find(({ name }) => name === "kvsvr.move_keys_copied")?.value ?? 0,
  );
  return counts.length === 0 ? 0 : Math.min(...counts);
}

function keysOf({ keyspace, first, last }: Span, keysIn: KeyCounts): number {
  let keys = 0;
  for (let slot = first; slot <= last; slot++) keys += keysIn(keyspace, slot);
  return keys;
}

async function move(call: CommandCall, parts: OperatorParts): Promise<ExitCode> {
  const keyspace = keyspaceOf(call.arguments[0]!);
  if (keyspace === Keyspace.CONTROL)
    throw new Failure(
      EXIT.usage,
      "the control keyspace stays in group 1: it tells where all others are",
    );
  const span = { keyspace, ...parseSlots(call.arguments[1]!) };
  const to = requireGroup(call, parts, "to");
  if (to === undefined) throw new Failure(EXIT.usage, "say where to: --to <group>");
  const transfers = transfersTo(await parts.slots.read(), span, to);
  return carryOut(call, parts, transfers);
}

async function rebalance(call: CommandCall, parts: OperatorParts): Promise<ExitCode> {
  const without = requireGroup(call, parts, "without");
  if (without === 1) throw new Failure(EXIT.usage, "--without: group 1 holds the control table");
  const groups = parts.inspector.kvGroups.filter((group) => group !== without);
  const transfers = planRebalance(await parts.slots.read(), MOVABLE, groups);
  if (transfers.length === 0) {
    if (call.json) printJson({ transfers: [], moves: 0 });
    else console.log("The slots are even over the groups already.");
    return EXIT.ok;
  }
  if (call.options.yes !== true) {
    if (call.json) printJson({ transfers: transfers.map(named) });
    else {
      console.log(
        formatTable(["keyspace", "slots", "from group", "to group"], transfers.map(cells)),
      );
      console.log("Nothing was moved: add --yes to do it.");
    }
    return EXIT.ok;
  }
  return carryOut(call, parts, transfers);
}

async function carryOut(
  call: CommandCall,
  parts: OperatorParts,
  transfers: readonly Transfer[],
): Promise<ExitCode> {
  if (transfers.length === 0) throw new Failure(EXIT.failed, "these slots are there already");
  if (call.options.force !== true)
    await requireQuiet(
      parts,
      transfers.flatMap(({ from, to }) => [from, to]),
    );
  const moves: WantedMove[] = inMoves(transfers, await countKeys(parts), KEYS_PER_MOVE);
  if (moves.length > MOVES_MAX) {
    const reason = `${moves.length} moves of ${KEYS_PER_MOVE} keys at once are too many (${MOVES_MAX})`;
    throw new Failure(EXIT.failed, `${reason}: do it in parts, with \`tricampus slots move\``);
  }
  const did = call.arguments.length > 0 ? "move" : "rebalance";
  await parts.slots.move(moves, did, actOf(call)).catch(asRefused);
  if (call.options.wait !== false) await waitForMoves(parts, teller(call));
  if (call.json) printJson({ transfers: transfers.map(named), moves: moves.length });
  else if (call.options.wait === false) console.log(`Begun: ${moves.length} moves.`);
  else console.log(`Moved: ${transfers.map(describeTransfer).join(", ")}.`);
  return EXIT.ok;
}

function asRefused(error: unknown): never {
  const isRefused = error instanceof RpcError && error.code === "FAILED_PRECONDITION";
  throw isRefused ? new Failure(EXIT.failed, error.message) : error;
}

const teller = (call: CommandCall) => (text: string) => {
  if (!call.json) console.log(text);
};

const named = ({ keyspace, ...rest }: Transfer) => ({ keyspace: keyspaceName(keyspace), ...rest });
const cells = (t: Transfer) => [keyspaceName(t.keyspace), nameOfSpan(t), `${t.from}`, `${t.to}`];
const describeTransfer = (transfer: Transfer) =>
  `${keyspaceName(transfer.keyspace)} ${nameOfSpan(transfer)} to group ${transfer.to}`;

/** "0-2047" or "17". */
function parseSlots(text: string): { first: number; last: number } {
  const [, one, other] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text) ?? [];
  const first = Number(one);
  const last = Number(other ?? one);
  if (one !== undefined && first <= last && last < SLOTS) return { first, last };
  throw new Failure(EXIT.usage, `"${text}" are no slots: say 0-${SLOTS - 1}, or a part of it`);
}

/** The number of a group that is started; undefined when the option was not given. */
function requireGroup(call: CommandCall, { inspector }: OperatorParts, option: string) {
  if (textOption(call, option) === undefined) return undefined;
  const group = numberOption(call, option)!;
  if (inspector.kvGroups.includes(group)) return group;
  const there = inspector.kvGroups.join(", ");
  throw new Failure(
    EXIT.usage,
    `--${option}: there is no KV group ${group}, there are ${there}; \`tricampus kv group add\` starts one`,
  );
}
