import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

const BACKLOG_MAX = 2;
const ANN = "07au2-1";
const BOB = "07au2-2";

let campuses: Campuses;

beforeAll(async () => {
  campuses = await startCampuses({ text: { groupBacklogMax: BACKLOG_MAX } });
  await campuses.startFanout();
});
afterAll(() => campuses.close());

test("a group whose fan-out stands still takes so many messages and no more, until it goes on", async () => {
  const request = { title: "Harbour", members: [BOB], clientRequestId: "r1" };
  const group = campuses.callee("group", "access");
  const { groupId } = await group.call(Group.create, request, campuses.ticket(ANN));
  const text = campuses.callee("text", "access");
  const send = (id: string) => {
    const to = { case: "groupId" as const, value: groupId };
    const message = makeSendRequest({ clientMessageId: id, text: `text of ${id}`, to });
    return text.call(Text.send, message, { ...campuses.ticket(ANN), order: [0] });
  };
  await send("before");
  await campuses.stopFanout();
  // What stood in the stream before is numbered or not; from here on nothing is.
  const taken: string[] = [];
  const fill = async () => {
    for (let i = 0; i < 10; i++) {
      await send(`m${i}`);
      taken.push(`m${i}`);
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: "OVERLOADED", retryable: true });
  expect(taken.length).toBeGreaterThanOrEqual(BACKLOG_MAX - 1);
  expect(taken.length).toBeLessThanOrEqual(BACKLOG_MAX + 1);
  await expect(send(taken[0]!)).resolves.toMatchObject({ conversationId: groupId });
  await campuses.startFanout();
  await vi.waitFor(() => send("after"), 20_000);
}, 30_000);
