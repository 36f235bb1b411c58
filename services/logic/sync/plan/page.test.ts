import { expect, test } from "vitest";
import {
  encodeSyncReply,
  makeInboxMessage,
  makeSyncReply,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type InboxRow,
  makeCommittedMessage,
} from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { toBytes } from "../../../svrkit/codec.ts";
import { buildPage } from "./page.ts";

const NOW = 1_700_000_000_000;
const TEXT = "x".repeat(872);

/**
 * A row as "<version><kind><name>": d delivered, o own 1:1 message, g own group message. Each counts
 * as 1000 bytes.
 */
function rowOf(script: string): InboxRow {
  const [, version, kind, name] = /^(\d+)([dog])(\w+)$/.exec(script)!;
  const message = {
    ...{ messageId: name!, conversationId: "c", clientMessageId: name!, senderId: "a" },
    ...{ text: TEXT, acceptedAtMs: name === "lost" || name === "imported" ? 1 : NOW - 60_000 },
    committedAtMs: name === "imported" ? NOW - 60_000 : 0,
  };
  const row: InboxRow["row"] =
    kind === "d"
      ? { case: "delivered", value: makeInboxMessage({ ...message, sequence: 1 }) }
      : {
          case: "committed",
          value: makeCommittedMessage({ ...message, recipientId: kind === "o" ? "b" : "" }),
        };
  return { version: Number(version), row };
}

test.each([
  { what: "nothing new", rows: "", through: 4, shown: "", version: 4, more: false },
  { what: "all of it", rows: "5dx 6dy", through: 6, shown: "x y", version: 6, more: false },
  {
    what: "rows without a message at the end",
    rows: "5dx",
    through: 8,
    shown: "x",
    version: 8,
    more: false,
  },
  {
    what: "an own message with its number",
    rows: "5on 6dy",
    through: 6,
    shown: "n y",
    version: 6,
    more: false,
  },
  {
    what: "an own message on its way ends it",
    rows: "5dx 6op 7dy",
    through: 7,
    shown: "x",
    version: 5,
    more: false,
    waits: true,
  },
  {
    what: "... with its whole version",
    rows: "5dx 6dy 6op 7dz",
    through: 7,
    shown: "x",
    version: 5,
    more: false,
    waits: true,
  },
  {
    what: "... even as the first",
    rows: "7op 8dy",
    through: 8,
    shown: "",
    version: 4,
    more: false,
    waits: true,
  },
  {
    what: "an own message that is lost is passed over",
    rows: "5dx 6olost 7dy",
    through: 7,
    shown: "x y",
    version: 7,
    more: false,
  },
  {
    what: "an own message that was imported a moment ago is on its way",
    rows: "5dx 6oimported 7dy",
    through: 7,
    shown: "x",
    version: 5,
    more: false,
    waits: true,
  },
  {
    what: "own group messages are passed over",
    rows: "5gx 6dy 7gz",
    through: 7,
    shown: "y",
    version: 7,
    more: false,
  },
  {
    what: "cut by bytes, between versions",
    rows: "5dx 6dy 7dz 7du",
    through: 7,
    shown: "x y",
    version: 6,
    more: true,
  },
  {
    what: "a version over the limit goes whole",
    rows: "5dx 5dy 5dz 5du 6dv",
    through: 6,
    shown: "x y z u",
    version: 5,
    more: true,
  },
])("page: $what", ({ rows, through, shown, version, more, waits = false }) => {
  const scripts = rows === "" ? [] : rows.split(" ");
  const page = buildPage(
    { rows: scripts.map(rowOf), throughVersion: through, more: false },
    { afterVersion: 4, bytesMax: 3_000, nowMs: NOW, sequences: new Map([["n", 3]]) },
  );
  expect(page.messages.map((m) => m.messageId).join(" ")).toBe(shown);
  expect(page).toMatchObject({ version, more, waits });
});

test("page: what is counted is no less than what it takes (text of three bytes a character, drafts)", () => {
  const delivered = rowOf("5dx");
  const text = "船".repeat(21_800);
  const large: InboxRow[] = Array.from({ length: 40 }, (_, i) => {
    const conversationId = "c".repeat(60);
    if (i % 2 === 0 && delivered.row?.case === "delivered") {
      const value = { ...delivered.row.value, conversationId, text };
      return { version: 5 + i, row: { case: "delivered", value } };
    }
    const setting = { case: "draft", value: "船".repeat(4_000) } as const;
    return { version: 5 + i, row: { case: "setting", value: { conversationId, setting } } };
  });
  const facts = { afterVersion: 4, bytesMax: 512 * 1024, nowMs: NOW, sequences: new Map() };
  const page = buildPage({ rows: large, throughVersion: 44, more: false }, facts);
  const { messages, settings, groups, more } = page;
  const bytes = toBytes(encodeSyncReply, makeSyncReply({ messages, settings, groups })).length;
  expect(bytes).toBeGreaterThan(400 * 1024);
  expect(bytes).toBeLessThan(512 * 1024 + 1_000);
  expect(more).toBe(true);
});

test("page: an own message carries the conversation's number", () => {
  const changes = { rows: [rowOf("5on")], throughVersion: 5, more: true };
  const facts = { afterVersion: 4, bytesMax: 3_000, nowMs: NOW, sequences: new Map([["n", 3]]) };
  const page = buildPage(changes, facts);
  expect(page.messages[0]!.sequence).toBe(3);
  expect(page.more).toBe(true);
});

test("page: what devices share and memberships come along", () => {
  const setting = { conversationId: "c", setting: { case: "muted", value: true } } as const;
  const membership = { groupId: "g", sinceSequence: 0 };
  const rows: InboxRow[] = [
    { version: 5, row: { case: "setting", value: setting } },
    { version: 6, row: { case: "membership", value: membership } },
  ];
  const facts = { afterVersion: 4, bytesMax: 3_000, nowMs: NOW, sequences: new Map() };
  const page = buildPage({ rows, throughVersion: 6, more: false }, facts);
  const { settings, groups, version } = page;
  expect({ settings, groups, version }).toEqual({
    settings: [setting],
    groups: [membership],
    version: 6,
  });
});
