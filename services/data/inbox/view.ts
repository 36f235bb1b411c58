/** What an inbox says of some messages of a conversation: which of them lie in it, and which its owner deleted. */
import {
  makeViewReply,
  type ViewReply,
  type ViewRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { deliveredRowKey, inboxKey } from "./rows.ts";
import { clearedRow, hiddenRow, readSetting } from "./settings.ts";

export async function view(
  kv: Pick<KvClient, "getRows">,
  { owner, conversationId, sequences }: ViewRequest & { owner: string },
  options: CallOptions,
): Promise<ViewReply> {
  const cleared = clearedRow(conversationId);
  const delivered = sequences.map((sequence) => deliveredRowKey(conversationId, sequence));
  const hidden = sequences.map((sequence) => hiddenRow(conversationId, sequence));
  const rows = [...new Set([cleared, ...delivered, ...hidden])];
  const request = { key: inboxKey(owner), rows, marks: [], level: Level.STRONG };
  const found = new Map(
    (await kv.getRows(request, options)).rows.map(({ row, value }) => [nameOf(row), value]),
  );
  const there = (row: Buffer) => found.has(nameOf(row));
  const value = found.get(nameOf(cleared));
  const setting = value && readSetting(value).setting;
  return makeViewReply({
    held: sequences.filter((_, i) => there(delivered[i]!)),
    hidden: sequences.filter((_, i) => there(hidden[i]!)),
    clearedSequence: setting?.case === "clearedSequence" ? setting.value : 0,
  });
}

function nameOf(row: Uint8Array): string {
  return Buffer.from(row).toString("latin1");
}
