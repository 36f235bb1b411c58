import { expect, test } from "vitest";
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import { makeInboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  makeGroupMemberRecord,
  makeGroupProfile,
  makeMembershipReply,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { refusalOf } from "./recalls.ts";

const WINDOWS = { recallMs: 120, recallMediaMs: 1_000, recallByAdminMs: 5_000 };

const fine = makeInboxMessage({ messageId: "m1", sequence: 3, senderId: "mia", acceptedAtMs: 0 });
const image = makeContent({
  body: {
    case: "image",
    value: { mediaId: "x", mime: "image/png", bytes: 1, width: 1, height: 1, thumbnailId: "" },
  },
});
const recall = makeContent({
  body: { case: "recall", value: { messageId: "m0", sequence: 1, senderId: "mia" } },
});

/** In a group that olga owns, with adam as an admin. */
function membership(userId: string) {
  const record = makeGroupMemberRecord({ userId, admin: userId === "adam" });
  const profile = makeGroupProfile({ ownerId: "olga" });
  return makeMembershipReply({ groupExists: true, member: true, record, profile });
}

const OK = "taken back";
const DENIED = "PERMISSION_DENIED";
const FAILED = "FAILED_PRECONDITION";

// mia sent it. In a group:                        olga    adam    mia     max
test.each([
  { what: "at once", message: {}, nowMs: 0, expected: [OK, OK, OK, DENIED] },
  { what: "in its last moment", message: {}, nowMs: 120, expected: [OK, OK, OK, DENIED] },
  { what: "later", message: {}, nowMs: 121, expected: [OK, OK, FAILED, DENIED] },
  { what: "much later", message: {}, nowMs: 5_001, expected: [FAILED, FAILED, FAILED, DENIED] },
  {
    what: "an image, later",
    message: { content: image },
    nowMs: 999,
    expected: [OK, OK, OK, DENIED],
  },
  {
    what: "one taken back",
    message: { recalled: true },
    nowMs: 0,
    expected: Array(4).fill(FAILED),
  },
  { what: "a recall", message: { content: recall }, nowMs: 0, expected: Array(4).fill(FAILED) },
  {
    what: "a notice",
    message: { notice: { kind: 1, userId: "mia", untilMs: 0 } },
    nowMs: 0,
    expected: Array(4).fill(FAILED),
  },
])("recall in a group: $what", ({ message, nowMs, expected }) => {
  const outcomes = ["olga", "adam", "mia", "max"].map((userId) => {
    const facts = { userId, membership: membership(userId), nowMs };
    return refusalOf({ ...fine, ...message }, facts, WINDOWS)?.code ?? OK;
  });
  expect(outcomes).toEqual(expected);
});

test.each([
  { userId: "mia", nowMs: 120, expected: OK },
  { userId: "mia", nowMs: 121, expected: FAILED },
  { userId: "max", nowMs: 0, expected: DENIED },
])("recall between two: by $userId after $nowMs ms", ({ userId, nowMs, expected }) => {
  const facts = { userId, membership: undefined, nowMs };
  expect(refusalOf(fine, facts, WINDOWS)?.code ?? OK).toBe(expected);
});
