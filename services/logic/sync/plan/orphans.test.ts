import { expect, test } from "vitest";
import { makeCommittedMessage } from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { findOrphans } from "./orphans.ts";

const NOW = 1_000_000_000;
const HOUR = 3_600_000;

/** "<message id> <conversation> <age in ms> [ago, when it was imported]"; conversations g... are groups. */
function own(script: string) {
  const [messageId, conversationId, age, imported] = script.split(" ") as [
    string,
    string,
    string,
    string?,
  ];
  const recipientId = conversationId.startsWith("g") ? "" : "b";
  return makeCommittedMessage({
    ...{ messageId, conversationId, recipientId, clientMessageId: messageId, senderId: "a" },
    ...{ text: "x", acceptedAtMs: NOW - Number(age) },
    committedAtMs: imported === undefined ? 0 : NOW - Number(imported),
  });
}

test.each([
  { what: "young ones are left alone", own: ["m1 c 5999", "m2 g 4999"], found: ["", "", ""] },
  { what: "without a number", own: ["m1 c 6000"], found: ["m1", "", ""] },
  { what: "without a number, for days", own: [`m1 c ${144 * HOUR}`], found: ["m1", "", ""] },
  { what: "without a number: lost", own: [`m1 c ${144 * HOUR + 1}`], found: ["", "", ""] },
  {
    what: "imported history is as old as its import",
    own: [`m1 c ${999 * HOUR} 6000`, `m2 c ${999 * HOUR} 5999`, `m3 g ${999 * HOUR} 5000`],
    found: ["m1", "", "g:m3"],
  },
  {
    what: "the newest of a conversation",
    own: ["n4 c 9000", "n9 c 8000", "n5 c 7000"],
    found: ["", "n9", ""],
  },
  { what: "of each conversation", own: ["n4 c 9000", "n9 d 8000"], found: ["", "n4 n9", ""] },
  {
    what: "old ones are history",
    own: [`n4 c ${25 * HOUR}`, `m2 g ${25 * HOUR}`],
    found: ["", "", ""],
  },
  {
    what: "group messages",
    own: ["m1 g 5000", "m2 g2 6000", "m3 g 7000"],
    found: ["", "", "g:m1,m3 g2:m2"],
  },
])("orphans: $what", ({ own: scripts, found }) => {
  const sequences = new Map([
    ["n4", 4],
    ["n5", 5],
    ["n9", 9],
  ]);
  const orphans = findOrphans(scripts.map(own), { nowMs: NOW, sequences });
  const ids = (messages: readonly { messageId: string }[]) => messages.map((m) => m.messageId);
  expect([
    ids(orphans.unnumbered).join(" "),
    ids(orphans.newest).join(" "),
    [...orphans.byGroup].map(([group, messages]) => `${group}:${ids(messages)}`).join(" "),
  ]).toEqual(found);
});
