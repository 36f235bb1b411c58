import { expect, test } from "vitest";
import {
  AccountData,
  makeAccountRecord,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { silentLogger } from "../../svrkit/log.ts";
import type { Method } from "../../svrkit/method.ts";
import { Eraser } from "./eraser.ts";

test("eraser: who is brought into a group again after one round leaves it in the next; it is gone first", async () => {
  const done: string[] = [];
  const user = { record: makeAccountRecord({ userId: "u1", name: "ann" }), sinceMs: 0 };
  const answers = new Map<unknown, object>([
    [AccountData.erasing, { users: [user] }],
    [InboxData.traces, { conversationIds: [], groupIds: ["g1"], cursor: NO_BYTES }],
  ]);
  const services = {
    peers: [],
    call: async (method: Method<unknown, unknown>) => {
      if (method === AccountData.markGone) done.push("gone");
      return answers.get(method) ?? {};
    },
  } as unknown as Callee;
  let nowMs = 0;
  const eraser = new Eraser({
    ...{ accounts: services, contacts: services, inboxes: services, messages: services },
    ...{ groups: services, media: services, moments: services, reaching: services },
    streams: { append: async (groupId, entry) => done.push(`${groupId} ${entry.id}`) },
    letters: { all: async function* () {}, forget: async () => {} },
    ...{ log: silentLogger(), own: 0, campuses: 1, everyMs: 5, pauseMs: 60_000 },
    now: () => ++nowMs,
  });
  await expect.poll(() => done.length).toBeGreaterThanOrEqual(4);
  await eraser.stop();
  const [first, leave, again, leaveAgain] = done;
  expect([first, again]).toEqual(["gone", "gone"]);
  expect(leave).toMatch(/^g1 u1:erased:/);
  expect(leaveAgain).toMatch(/^g1 u1:erased:/);
  expect(leaveAgain).not.toBe(leave);
});
