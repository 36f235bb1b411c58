/**
 * What a user's devices share about its conversations, as rows of the inbox: so it takes part in the
 * inbox's version, and reaches the devices like messages do, once and in order.
 *
 *   c/<letter>/<conversation>                     one row a setting, the last write stands
 *   c/h/<conversation>/<8 bytes sequence>         a message that the user has deleted for itself
 *
 * Positions only rise: each has a mark of the same name, which lets the older of two writes change
 * nothing, whichever comes first. The mark c/<letter> counts the rows of a kind (setting-rows.ts).
 */
import {
  type ConversationSetting,
  decodeConversationSetting,
  encodeConversationSetting,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type {
  Guard,
  RowOperation,
  TableChange,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { sequenceKey } from "../sequence-key.ts";

export const SETTINGS = "c/";

type Setting = NonNullable<ConversationSetting["setting"]>;
export type SettingKind = Setting["case"];

const LETTERS: Readonly<Record<SettingKind, string>> = {
  readSequence: "r",
  peerReadSequence: "q",
  pinnedAtMs: "p",
  muted: "m",
  draft: "d",
  clearedSequence: "c",
  hiddenSequence: "h",
};
const KINDS = new Map(
  Object.entries(LETTERS).map(([kind, letter]) => [letter.charCodeAt(0), kind as SettingKind]),
);

/** How many rows of a kind there are. */
export function countMark(kind: SettingKind): Buffer {
  return Buffer.from(SETTINGS + LETTERS[kind]);
}

/** Of which kind a row is, by its key. */
export function kindOfRow(row: Uint8Array): SettingKind {
  return KINDS.get(row[SETTINGS.length]!)!;
}

/**
 * The changes that settings ask for: one for all that simply stand, one for each position, since a
 * position that does not rise must keep none of the others from standing.
 */
export function settingChanges(
  settings: readonly ConversationSetting[],
  deliveredRow: (conversationId: string, sequence: number) => Buffer,
): TableChange[] {
  const standing: RowOperation[] = [];
  const changes: TableChange[] = [];
  for (const one of settings) {
    const { conversationId, setting } = one;
    if (setting === undefined) throw new RpcError("INVALID_ARGUMENT", "a setting sets nothing");
    const row = rowKey(conversationId, setting);
    const upsert = written(row, one);
    if (isPosition(setting)) {
      const mark = { name: row, from: setting.value - 1, to: setting.value, allowSkip: true };
      const guards: Guard[] = [{ guard: { case: "mark", value: mark } }];
      changes.push({ guards, operations: [upsert] });
      continue;
    }
    standing.push(upsert);
    if (setting.case !== "hiddenSequence") continue;
    const hidden = deliveredRow(conversationId, setting.value);
    standing.push({ operation: { case: "delete", value: hidden } });
  }
  if (standing.length > 0) changes.push({ guards: [], operations: standing });
  return changes;
}

/** Where a user's inbox says that it has muted a conversation. */
export function muteRow(conversationId: string): Buffer {
  return Buffer.from(`${SETTINGS}${LETTERS.muted}/${conversationId}`);
}

/** Up to where a user's inbox says that it deleted a conversation. */
export function clearedRow(conversationId: string): Buffer {
  return Buffer.from(`${SETTINGS}${LETTERS.clearedSequence}/${conversationId}`);
}

/** A message that the user has deleted for itself. */
export function hiddenRow(conversationId: string, sequence: number): Buffer {
  const name = `${SETTINGS}${LETTERS.hiddenSequence}/${conversationId}/`;
  return sequenceKey(Buffer.from(name), sequence);
}

export function readSetting(value: Uint8Array): ConversationSetting {
  return fromBytes(decodeConversationSetting, value);
}

type Position = Extract<Setting, { case: "readSequence" | "peerReadSequence" | "clearedSequence" }>;

function isPosition(setting: Setting): setting is Position {
  const { case: name } = setting;
  return name === "readSequence" || name === "peerReadSequence" || name === "clearedSequence";
}

function rowKey(conversationId: string, setting: Setting): Buffer {
  if (setting.case === "hiddenSequence") return hiddenRow(conversationId, setting.value);
  return Buffer.from(`${SETTINGS}${LETTERS[setting.case]}/${conversationId}`);
}

function written(row: Buffer, setting: ConversationSetting): RowOperation {
  const value = toBytes(encodeConversationSetting, setting);
  return { operation: { case: "upsert", value: { row, value } } };
}
