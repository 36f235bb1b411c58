/** What a user's devices share about conversations, on real replicas of the store. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ConversationSetting } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { startCluster, type TestCluster } from "../../kvsvr/testing/cluster.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import type { RpcError } from "../../svrkit/errors.ts";
import { inboxKey } from "./rows.ts";
import { type RowsMax, SETTING_ROWS_MAX, SettingWriter } from "./setting-rows.ts";
import { readSetting } from "./settings.ts";

let cluster: TestCluster;
let writer: SettingWriter;
beforeAll(async () => {
  cluster = await startCluster();
  writer = new SettingWriter(cluster.kv);
});
afterAll(() => cluster.close());

const OPTIONS = { timeoutMs: 5_000 };
type Setting = NonNullable<ConversationSetting["setting"]>;

const set = (owner: string, rowsMax: RowsMax, ...settings: [string, Setting][]) =>
  writer.write(
    {
      ...{ owner, rowsMax },
      settings: settings.map(([conversationId, setting]) => ({ conversationId, setting })),
    },
    OPTIONS,
  );
const draft = (value: string): Setting => ({ case: "draft", value });
const readTo = (value: number): Setting => ({ case: "readSequence", value });
const hidden = (value: number): Setting => ({ case: "hiddenSequence", value });

/** As "<conversation> <what> <value>", in the order of their keys. */
async function kept(owner: string): Promise<string[]> {
  const all = { first: NO_BYTES, end: NO_BYTES, limit: 0, level: Level.STRONG, reverse: false };
  const { rows } = await cluster.kv.scanRows({ key: inboxKey(owner), ...all }, OPTIONS);
  return rows.map(({ value }) => {
    const { conversationId, setting } = readSetting(value);
    return `${conversationId} ${setting!.case} ${setting!.value}`;
  });
}

test("settings: one row too many of a kind is refused, and what is there can be changed", async () => {
  const max = { draft: 2, hiddenSequence: 2 };
  await set("u1", max, ["g1", draft("one")], ["g2", draft("two")]);
  const refused = { code: "RESOURCE_EXHAUSTED", message: expect.stringContaining('"draft" 2') };
  const tooMany = set("u1", max, ["g3", draft("three")], ["g1", hidden(7)]);
  await expect(tooMany).rejects.toMatchObject(refused);
  await set("u1", max, ["g1", draft("again")], ["g1", hidden(7)], ["g1", hidden(8)]);
  await set("u1", max, ["g1", hidden(7)], ["g3", readTo(5)]);
  await expect(set("u1", max, ["g2", hidden(7)])).rejects.toMatchObject({ code: refused.code });
  expect(await kept("u1")).toEqual([
    ...["g1 draft again", "g2 draft two", "g1 hiddenSequence 7", "g1 hiddenSequence 8"],
    "g3 readSequence 5",
  ]);
});

test("settings: however many write at once, no more rows are made than are counted", async () => {
  const max = { draft: 20, readSequence: 1_000 };
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    const outcomes: string[] = [];
    for (let n = 0; n < 5; n++) {
      const id = `g${writer}-${n}`;
      const written = set("u2", max, [id, draft("x")], [id, readTo(n + 1)]);
      outcomes.push(
        await written.then(
          () => "kept",
          (error: RpcError) => error.code,
        ),
      );
    }
    return outcomes;
  });
  const outcomes = (await Promise.all(writers)).flat();
  const drafts = (await kept("u2")).filter((row) => row.includes("draft"));
  expect(drafts.length).toBeLessThanOrEqual(20);
  expect(drafts.length).toBe(outcomes.filter((outcome) => outcome === "kept").length);
  expect(new Set(outcomes)).toContain("RESOURCE_EXHAUSTED");
});

test("settings: sixty first ones of one user at once are all kept", async () => {
  const ids = Array.from({ length: 60 }, (_, i) => i + 1);
  await Promise.all(ids.map((id) => set("u4", SETTING_ROWS_MAX, ["g1", hidden(id)])));
  expect(await kept("u4")).toHaveLength(60);
});

test("settings: of two positions of a conversation the higher one stands, in whatever order", async () => {
  await set("u3", SETTING_ROWS_MAX, ["g1", readTo(9)], ["g1", readTo(4)], ["g2", readTo(4)]);
  await set("u3", SETTING_ROWS_MAX, ["g2", readTo(3)], ["g2", readTo(6)], ["g3", readTo(1)]);
  expect(await kept("u3")).toEqual(["g1 readSequence 9", "g2 readSequence 6", "g3 readSequence 1"]);
});
