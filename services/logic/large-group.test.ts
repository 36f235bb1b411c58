/** The largest group of a platform as it is configured by default: each of 500 members has each message. */
import { expect, test } from "vitest";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { startCampuses } from "./testing/campuses.ts";

const MEMBERS = 500;
/** So many inboxes are read at once: the store of a test is one process's. */
const READERS = 8;

test("groups: one message in a group of 500 is in 500 inboxes, once, behind its beginning", async () => {
  const campuses = await startCampuses();
  try {
    await campuses.startFanout();
    const users = Array.from({ length: MEMBERS }, (_, i) => `07au5-${i.toString(36)}`);
    const [ann, ...members] = users as [string, ...string[]];
    const group = campuses.callee("group", "access");
    const create = { title: "All of us", members, clientRequestId: "r" };
    const { groupId } = await group.call(Group.create, create, campuses.ticket(ann));
    const oneMore = { ...create, members: [...members, "07au6-1"], clientRequestId: "r2" };
    await expect(group.call(Group.create, oneMore, campuses.ticket(ann))).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
    const to = { case: "groupId" as const, value: groupId };
    const message = makeSendRequest({ clientMessageId: "k", text: "to all", to });
    await campuses.callee("text", "access").call(Text.send, message, campuses.ticket(ann));
    const sync = campuses.callee("sync", "access");
    const inboxOf = async (user: string) => {
      const request = { snapshot: Buffer.alloc(0), limit: 1_000, allParts: false };
      const { messages } = await sync.call(Sync.sync, request, campuses.ticket(user, "new"));
      return messages.map(({ sequence, text }) => `${sequence} ${text}`);
    };
    const left = users.values();
    const reader = async () => {
      for (const user of left)
        await expect.poll(() => inboxOf(user), { timeout: 60_000 }).toEqual(["1 ", "2 to all"]);
    };
    await Promise.all(Array.from({ length: READERS }, reader));
  } finally {
    await campuses.close();
  }
}, 90_000);
