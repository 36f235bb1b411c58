import { expect, test } from "vitest";
import { Ledger, type StoredRow } from "../ledger/ledger.ts";
import { Conversations } from "./conversations.ts";
import { DeliveryWatch } from "./delivery-watch.ts";
import { type PlannedMessage, planReplay } from "./plan.ts";
import { Timeline } from "./timeline.ts";

const texts = ["one", "two", "three", "four", "five"];
const lines = texts.map((text, i) => ({ number: i + 1, nick: i % 2 === 0 ? "ann" : "bob", text }));
const plan = planReplay("r", [{ title: "x", leftOut: 0, lines }]);

test("conversations: a send that failed and was numbered later all the same counts once, as failed", async () => {
  const taken: PlannedMessage[] = [];
  let late: PlannedMessage | undefined;
  const send = async (_user: number, _groupId: string, message: PlannedMessage) => {
    if (message.text === "two") {
      late = message;
      throw new Error("no answer");
    }
    taken.push(message);
    if (message.text === "four") taken.push(late!);
  };
  const timeline = new Timeline(performance.now());
  const conversations = new Conversations(plan, {
    ...{ sender: { send }, groupIds: ["gx"], timeline, watch: new DeliveryWatch(plan, timeline) },
    ...{ overSeconds: 0, reached: () => {} },
  });
  await conversations.run();
  expect(conversations.failures).toEqual(["r-0-2: no answer"]);
  const rows = taken.map(
    ({ clientMessageId, text }, i): StoredRow => ({
      ...{ conversationId: "gx", sequence: i + 2, clientMessageId, text },
    }),
  );
  const ledger = new Ledger(plan, new Set(conversations.acknowledged));
  for (const [user, { devices }] of plan.users.entries())
    for (const device of devices) ledger.checkDevice(user, device, rows);
  ledger.finish();
  expect(ledger.counts).toMatchObject({ messages: 4, outOfOrder: 0, missing: 0, duplicates: 0 });
});
