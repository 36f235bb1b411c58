/**
 * `tricampus campus block | unblock | audit`: takes a campus, or one service in a campus, out of every
 * routing decision, for a stated time.
 */
import { ControlTable, type ShownBlock, type ShownChange } from "../../services/control/client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { AS, whoOf } from "../act.ts";
import { parseDuration, parseTarget, parseWords } from "../block-arguments.ts";
import { asCalled } from "../called.ts";
import { requireCaughtUp } from "../caught-up.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { reach } from "../connect.ts";
import { checkBefore } from "../drill/drill.ts";
import { BUSY_PERCENT_MAX } from "../drill/plan/pre-checks.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { formatRemaining } from "../output/time.ts";
import type { Reach } from "../reach.ts";

const WHAT = [["<what>", "a campus, like b, or one of its services, like b/text"]] as const;
const AUDIT_ENTRIES_MAX = 1_000;
const DRY_RUN_MS = 5_000;

const blockCommand: CommandDefinition = {
  name: "campus block",
  summary: "take a campus, or one service in it, out of every routing decision for a time",
  arguments: WHAT,
  options: [
    ["--for <time>", "how long: 30s, 10m or 2h; at most 24h"],
    ["--why <words>", "for status and the audit log"],
    AS,
    ["--force", "although a replica that has to stand in is not caught up"],
    ["--dry-run", "change nothing; look for five seconds and say what speaks against it"],
  ],
  run: async (call) => {
    if (call.options.dryRun === true) return dryRun(call);
    const forced = call.options.force === true;
    const block = await withTable(call, async (table, reached) => {
      const target = parseTarget(call.arguments[0]!, reached.campuses);
      const forMs = parseDuration(textOption(call, "for"));
      const why = parseWords("--why", textOption(call, "why"));
      const who = whoOf(call);
      if (!forced) await requireCaughtUp(reached, target);
      return table.block(target, { forMs, why, who, forced });
    });
    if (call.json) printJson(block);
    else {
      const until = new Date(block.untilMs).toISOString();
      const end = `\`tricampus campus unblock ${block.what}\``;
      console.log(asCalled(`Blocked ${block.what} until ${until}; ${end} ends it.`));
    }
    return EXIT.ok;
  },
};

/** What a drill checks first, whatever else is asked for. */
async function dryRun(call: CommandCall): Promise<ExitCode> {
  const { what, checks } = await withTable(call, async (_, reached) => {
    const target = parseTarget(call.arguments[0]!, reached.campuses);
    const facts = { target, forMs: DRY_RUN_MS, busyPercentMax: BUSY_PERCENT_MAX };
    return { what: call.arguments[0]!, checks: await checkBefore(reached, facts) };
  });
  const against = checks.filter(({ ok }) => !ok);
  if (call.json) printJson({ what, blocked: false, checks });
  else {
    const rows = checks.map(({ name, ok, found }) => [ok ? "yes" : "NO", name, found]);
    console.log(formatTable(["", "check", "found"], rows));
    console.log(
      against.length === 0
        ? `Nothing speaks against blocking ${what}. Nothing was changed.`
        : `${against.length} of ${checks.length} checks speak against blocking ${what}. Nothing was changed.`,
    );
  }
  return against.length === 0 ? EXIT.ok : EXIT.failed;
}

const unblockCommand: CommandDefinition = {
  name: "campus unblock",
  summary: "end a block before its time",
  arguments: WHAT,
  options: [AS],
  run: async (call) => {
    const who = whoOf(call);
    const { what } = await withTable(call, (table, { campuses }) =>
      table.unblock(parseTarget(call.arguments[0]!, campuses), who),
    );
    if (call.json) printJson({ unblocked: what });
    else console.log(`Unblocked ${what}.`);
    return EXIT.ok;
  },
};

const auditCommand: CommandDefinition = {
  name: "campus audit",
  summary: "show who blocked or forced what, moved slots or changed KV groups, when and why",
  run: async (call) => {
    const changes = await withTable(call, (table) => table.audit(AUDIT_ENTRIES_MAX));
    if (call.json) printJson({ changes });
    else printChanges(changes);
    return EXIT.ok;
  },
};

export const blockCommands: readonly CommandDefinition[] = [
  blockCommand,
  unblockCommand,
  auditCommand,
];

/** "b is blocked for 9 m 58 s more by ann: a new switch", one line a block. */
export function describeBlocks(blocks: readonly ShownBlock[]): string[] {
  return blocks.map(({ what, remainingMs, who, why, forced }) => {
    const by = forced ? `${who}, forced` : who;
    return `${what} is blocked for ${formatRemaining(remainingMs)} more by ${by}: ${why}`;
  });
}

async function withTable<T>(
  call: CommandCall,
  run: (table: ControlTable, reached: Reach) => Promise<T>,
): Promise<T> {
  const reached = await reach(call);
  try {
    return await run(new ControlTable(reached.callee("kvsvr")), reached);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    if (error.code === "FAILED_PRECONDITION") throw new Failure(EXIT.failed, error.message);
    const reach = error.retryable || error.code === "DEADLINE_EXCEEDED";
    throw new Failure(
      reach ? EXIT.unreachable : EXIT.failed,
      `the control table cannot be used: ${error.message}; look at \`tricampus status\``,
    );
  } finally {
    reached.stop();
  }
}

function printChanges(changes: readonly ShownChange[]): void {
  const rows = changes.map(({ number, atMs, who, did, what, untilMs, why, forced }) => [
    String(number),
    new Date(atMs).toISOString(),
    who,
    forced && did === "block" ? "block --force" : did,
    what,
    untilMs === 0 ? "-" : new Date(untilMs).toISOString(),
    why,
  ]);
  console.log(formatTable(["number", "when", "who", "did", "what", "until", "why"], rows));
}
