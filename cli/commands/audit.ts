/** `tricampus audit`: the ledger of a live system, for a sample of its users. */
import { AuditClient } from "../../services/data/audit-client.ts";
import { type AuditedUserReport, audit } from "../audit/audit.ts";
import { sampleUsers } from "../audit/sample.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { numberOption, withReplicas } from "../kv/store.ts";
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
  arguments: [["[user ids...]", "instead of a sample"]],
  options: [["--users <number>", `how many are drawn by chance; default ${USERS}`]],
  run: async (call) => {
    const reports: AuditedUserReport[] = [];
    await withReplicas(call, async (parts) => {
      const count = numberOption(call, "users") ?? USERS;
      const asked = call.arguments;
      const users = asked.length > 0 ? asked : await sampleUsers(parts, count, Math.random);
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
    isClean(report) ? "The ledger is clean." : "THE LEDGER IS NOT CLEAN.",
  ].join("\n");
}
