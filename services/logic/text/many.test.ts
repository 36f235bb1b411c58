import { expect, test } from "vitest";
import { makeSendRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { sendMany } from "./many.ts";

const to = (userId: string, text: string) =>
  makeSendRequest({ clientMessageId: text, to: { case: "userId", value: userId }, text });

test("several sends: in order to each recipient, beside one another otherwise, outcomes of their own", async () => {
  const log: string[] = [];
  const reply = await sendMany(
    { sends: [to("bob", "1"), to("cid", "2"), to("bob", "3"), to("bob", "4")] },
    async ({ text }) => {
      log.push(`begin ${text}`);
      await Promise.resolve();
      log.push(`end ${text}`);
      if (text === "3") throw new RpcError("TOO_LARGE", "too long");
      return { messageId: `m${text}`, conversationId: "c", sequence: 1 };
    },
  );
  expect(log.slice(0, 2)).toEqual(["begin 1", "begin 2"]);
  expect(log.filter((line) => !line.endsWith("2"))).toEqual([
    ...["begin 1", "end 1", "begin 3", "end 3", "begin 4", "end 4"],
  ]);
  const words = reply.outcomes.map(({ outcome }) =>
    outcome?.case === "reply" ? outcome.value.messageId : outcome?.value.code,
  );
  expect(words).toEqual(["m1", "m2", "TOO_LARGE", "m4"]);
});

test.each([0, 51])("several sends: not %i", async (count) => {
  const sends = new Array(count).fill(to("bob", "1"));
  const failed = sendMany({ sends }, () => Promise.reject(new Error("not asked")));
  await expect(failed).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
