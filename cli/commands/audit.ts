/** `tricampus audit`: the ledger of a live system, for a sample of its users. */
import { AuditClient } from "../../services/data/audit-client.ts";
import { type AuditedUserReport, audit } from "../audit/audit.ts";
import { sampleUsers } from "../audit/sample.ts";
import { type CommandCall, type CommandDefinition, numberOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { type OperatorParts, withReplicas } from "../kv/store.ts";
import { inParallel } from "../ledger/in-parallel.ts";
import { countWrong, type LedgerCounts } from "../ledger/ledger.ts";
import { printJson } from "../output/json.ts";

const USERS = 20;
const AT_ONCE = 4;

interface AuditReport extends Omit<LedgerCounts, "unreadWrong"> {
  readonly users: number;
  readonly userIds: readonly string[];
  readonly conversations: number;
}

export const auditCommand: CommandDefinition = {
  name: "audit",
  summary:
    "is everything in the inboxes of a sample of users, exactly once and in order? while it serves",
  arguments: [["[users...]", "names or ids, instead of a sample"]],
  options: [["--users <number>", `how many are drawn by chance; default ${USERS}`]],
  run: async (call) => {
    const reports: AuditedUserReport[] = [];
    await withReplicas(call, async (parts) => {
      const users = await usersOf(call, parts);
      const client = new AuditClient(parts.store);
      await inParallel(users, AT_ONCE, async (userId) => {
        reports.push(await audit(client, userId));
      });
    });
    const report = sumOf(reports);
    const examples = reports.flatMap((one) => one.examples);
    for (const example of examples) console.error(example);
    if (call.json) printJson(report);
    else console.log(describe(report));
    return isClean(report) ? EXIT.ok : EXIT.failed;
  },
};

/** Those who were named, each once, or a sample: never nobody, of whom every ledger is clean. */
async function usersOf(call: CommandCall, parts: OperatorParts): Promise<readonly string[]> {
  const count = numberOption(call, "users") ?? USERS;
  if (count === 0) throw new Failure(EXIT.usage, "--users: at least 1");
  if (call.arguments.length > 0) {
    const client = new AuditClient(parts.store);
    const ids = await Promise.all(call.arguments.map((name) => requireUser(client, name)));
    return [...new Set(ids)];
  }
  const sample = await sampleUsers(parts, count, Math.random);
  if (sample.length > 0) return sample;
  throw new Failure(EXIT.failed, "no user has an inbox yet: there is nothing to audit");
}

async function requireUser(client: AuditClient, nameOrId: string): Promise<string> {
  const userId = await client.findUser(nameOrId);
  if (userId !== undefined) return userId;
  const advice = "give a name, or an id like 01au1-1";
  throw new Failure(EXIT.usage, `there is no user "${nameOrId}": ${advice}`);
}

function sumOf(reports: readonly AuditedUserReport[]): AuditReport {
  const sum = (of: (report: AuditedUserReport) => number) =>
    reports.reduce((total, report) => total + of(report), 0);
  return {
    users: reports.length,
    userIds: reports.map(({ userId }) => userId),
    conversations: sum((one) => one.conversations),
    messages: sum(({ counts }) => counts.messages),
    deliveries: sum(({ counts }) => counts.deliveries),
    missing: sum(({ counts }) => counts.missing),
    duplicates: sum(({ counts }) => counts.duplicates),
    outOfOrder: sum(({ counts }) => counts.outOfOrder),
    altered: sum(({ counts }) => counts.altered),
    foreign: sum(({ counts }) => counts.foreign),
  };
}

function isClean(report: AuditReport): boolean {
  return countWrong({ ...report, unreadWrong: 0 }) === 0;
}

function describe(report: AuditReport): string {
  const number = (value: number) => value.toLocaleString("en-US");
  return [
    `users          ${number(report.users)}, in ${number(report.conversations)} conversations`,
    `messages       ${number(report.messages)} that must be in their inboxes`,
    `rows           ${number(report.deliveries)}`,
    `missing        ${number(report.missing)}`,
    `duplicates     ${number(report.duplicates)}`,
    `out of order   ${number(report.outOfOrder)}`,
    `other number   ${number(report.altered)}`,
    `foreign        ${number(report.foreign)}`,
    conclusionOf(report),
  ].join("\n");
}

function conclusionOf(report: AuditReport): string {
  if (!isClean(report)) return "THE LEDGER IS NOT CLEAN.";
  const isEmpty = report.messages === 0 && report.deliveries === 0;
  return isEmpty ? "They have no messages: there was nothing to check." : "The ledger is clean.";
}
