/**
 * The lines of a device's file (file-store.ts), as JSON arrays; times in milliseconds since 1970:
 *
 *   ["device", 1]                                                        the format, first
 *   ["u", user]                                                          whose device it is
 *   ["m", conversation, sequence, id, sender, client id, text, accepted, received, kind?, user?, more?]
 *   ["c", conversation, setting, value]                                  what its user's devices share
 *   ["g", group, since]                                                  a member; since 0: no more
 *   ["k", kind, value]                                                   a change of contacts
 *   ["y", kind, value]                                                   a change of the account
 *   ["s", snapshot as base64, version]                                   after the rows it stands for
 *   ["b"] ["e"]                                                          everything comes anew between
 *   ["o", client id, recipient, text, sent, content?]                    a send begins
 *   ["a", client id, acknowledged, id, conversation, sequence]           ... is acknowledged
 *   ["f", client id, failed, code]                                       ... or has failed
 *   ["d", conversation, sequence, id]                                    refused: a double
 *   ["r", conversation, sequence]                                        taken back
 *
 * `more` of a message: {until, content as base64, recalled, apart}, what of it is there.
 *
 * A line of another kind is a newer version's: it is left where it is, and means nothing here.
 */
import type { AccountChange } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import type { ContactChange } from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import {
  type Content,
  decodeContent,
  encodeContent,
} from "../protos/gen/tricampus/client/v1/content_codec.ts";
import type {
  ConversationSetting,
  GroupMembership,
  Notice,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { fromBytes, toBytes } from "../services/svrkit/codec.ts";
import type { Recipient, SendRecord, Snapshot, StoredMessage } from "./store.ts";

export const FORMAT = 1;

type Outcome<S> = Extract<SendRecord["outcome"], { state: S }>;

/** One line of a device's file. */
export type DeviceLine =
  | { readonly kind: "owner"; readonly userId: string }
  | { readonly kind: "message"; readonly message: StoredMessage }
  | { readonly kind: "setting"; readonly setting: ConversationSetting }
  | { readonly kind: "group"; readonly group: GroupMembership }
  | { readonly kind: "contacts"; readonly change: ContactChange }
  | { readonly kind: "account"; readonly change: AccountChange }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "rebuild begins" }
  | { readonly kind: "rebuild ends" }
  | { readonly kind: "send"; readonly send: SendRecord }
  | {
      readonly kind: "acknowledged";
      readonly clientMessageId: string;
      readonly outcome: Outcome<"acknowledged">;
    }
  | {
      readonly kind: "failed";
      readonly clientMessageId: string;
      readonly outcome: Outcome<"failed">;
    }
  | {
      readonly kind: "double";
      readonly conversationId: string;
      readonly sequence: number;
      readonly messageId: string;
    }
  | { readonly kind: "recalled"; readonly conversationId: string; readonly sequence: number };

interface More {
  until?: number;
  content?: string;
  recalled?: true;
  apart?: number;
}

export function messageLine(m: StoredMessage): unknown[] {
  const line: unknown[] = [
    ...["m", m.conversationId, m.sequence, m.messageId, m.senderId, m.clientMessageId],
    ...[m.text, m.acceptedAtMs, m.receivedAtMs],
  ];
  const more: More = {};
  if (m.notice !== undefined && m.notice.untilMs > 0) more.until = m.notice.untilMs;
  if (m.content !== undefined) more.content = contentText(m.content);
  if (m.recalled) more.recalled = true;
  if (m.apartBytes > 0) more.apart = m.apartBytes;
  const hasMore = Object.keys(more).length > 0;
  if (m.notice !== undefined) line.push(m.notice.kind, m.notice.userId);
  else if (hasMore) line.push(0, "");
  if (hasMore) line.push(more);
  return line;
}

export function settingLine({ conversationId, setting }: ConversationSetting): unknown[] {
  return ["c", conversationId, setting?.case, setting?.value];
}

export function partLine(tag: "k" | "y", { change }: ContactChange | AccountChange): unknown[] {
  return [tag, change?.case, change?.value];
}

export function snapshotLine({ bytes, version }: Snapshot): unknown[] {
  return ["s", Buffer.from(bytes).toString("base64"), version];
}

export function sendLine(send: SendRecord): unknown[] {
  const { clientMessageId, to, text, sentAtMs, outcome, content } = send;
  switch (outcome.state) {
    case "open": {
      const line: unknown[] = ["o", clientMessageId, to, text, sentAtMs];
      return content === undefined ? line : [...line, contentText(content)];
    }
    case "failed":
      return ["f", clientMessageId, outcome.atMs, outcome.code];
    case "acknowledged": {
      const { atMs, messageId, conversationId, sequence } = outcome;
      return ["a", clientMessageId, atMs, messageId, conversationId, sequence];
    }
  }
}

export function contentText(content: Content): string {
  return Buffer.from(toBytes(encodeContent, content)).toString("base64");
}

function contentOf(text: string | undefined): Content | undefined {
  return text === undefined ? undefined : fromBytes(decodeContent, Buffer.from(text, "base64"));
}

/** Undefined for the line that names the format, and for lines of kinds that are not known here. */
export function parseLine(text: string, place: string): DeviceLine | undefined {
  let line: unknown[];
  try {
    line = JSON.parse(text) as unknown[];
  } catch (error) {
    throw new Error(`${place}: the line is damaged`, { cause: error });
  }
  const [tag, ...rest] = line as [string, ...unknown[]];
  if (tag === "device" && rest[0] !== FORMAT) {
    throw new Error(`${place}: format ${rest[0]} is not known here; this one knows ${FORMAT}`);
  }
  return parseRow(tag, rest) ?? parseSend(tag, rest);
}

function parseRow(tag: string, rest: readonly unknown[]): DeviceLine | undefined {
  switch (tag) {
    case "u":
      return { kind: "owner", userId: String(rest[0]) };
    case "m":
      return { kind: "message", message: parseMessage(rest) };
    case "c": {
      const [conversationId, name, value] = rest as [string, string, number];
      const setting = { case: name, value } as unknown as ConversationSetting["setting"];
      return { kind: "setting", setting: { conversationId, setting } };
    }
    case "g": {
      const [groupId, sinceSequence] = rest as [string, number];
      return { kind: "group", group: { groupId, sinceSequence } };
    }
    case "k":
      return { kind: "contacts", change: changeOf(rest) as ContactChange };
    case "y":
      return { kind: "account", change: changeOf(rest) as AccountChange };
    case "s": {
      const [bytes, version] = rest as [string, number];
      return { kind: "snapshot", snapshot: { bytes: Buffer.from(bytes, "base64"), version } };
    }
    case "b":
      return { kind: "rebuild begins" };
    case "e":
      return { kind: "rebuild ends" };
    case "d": {
      const [conversationId, sequence, messageId] = rest as [string, number, string];
      return { kind: "double", conversationId, sequence, messageId };
    }
    case "r": {
      const [conversationId, sequence] = rest as [string, number];
      return { kind: "recalled", conversationId, sequence };
    }
    default:
      return undefined;
  }
}

function changeOf([name, value]: readonly unknown[]): object {
  return { change: { case: name, value } };
}

function parseMessage(fields: readonly unknown[]): StoredMessage {
  const [conversationId, sequence, messageId, senderId, clientMessageId, text] = fields as [
    string,
    number,
    string,
    string,
    string,
    string,
  ];
  const [acceptedAtMs, receivedAtMs, kind, userId, more = {}] = fields.slice(6) as [
    number,
    number,
    number | undefined,
    string,
    More | undefined,
  ];
  const notice: Notice | undefined = kind ? { kind, userId, untilMs: more.until ?? 0 } : undefined;
  return {
    ...{ messageId, conversationId, sequence, senderId, clientMessageId, text },
    ...{ acceptedAtMs, receivedAtMs, notice, content: contentOf(more.content) },
    ...{ recalled: more.recalled === true, apartBytes: more.apart ?? 0 },
    committedAtMs: 0, // devices show when a message was said, and forget nothing by age
  };
}

function parseSend(tag: string, fields: readonly unknown[]): DeviceLine | undefined {
  if (tag === "o") {
    const [clientMessageId, to, text, sentAtMs, content] = fields as [
      string,
      Recipient,
      string,
      number,
      string | undefined,
    ];
    const send = { clientMessageId, to, text, sentAtMs, content: contentOf(content) };
    return { kind: "send", send: { ...send, outcome: { state: "open" } } };
  }
  if (tag === "a") {
    const [clientMessageId, atMs, messageId, conversationId, sequence] = fields as [
      string,
      number,
      string,
      string,
      number,
    ];
    const outcome = { state: "acknowledged", atMs, messageId, conversationId, sequence } as const;
    return { kind: "acknowledged", clientMessageId, outcome };
  }
  if (tag !== "f") return undefined;
  const [clientMessageId, atMs, code] = fields as [string, number, string];
  return { kind: "failed", clientMessageId, outcome: { state: "failed", atMs, code } };
}
