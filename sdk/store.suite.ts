/** What every store of a device does, whatever it keeps its lines in. */
import { expect, test } from "vitest";
import { makeUserProfile } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import { makeContent } from "../protos/gen/tricampus/client/v1/content_codec.ts";
import { makeInboxMessage } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { DeviceStore, Rows, SendRecord, StoredMessage } from "./store.ts";

export interface StoreEngine {
  /** The same name: the same device, if the engine outlives a run. */
  open(name: string): Promise<DeviceStore>;
  readonly outlivesRuns: boolean;
}

const message = (sequence: number, more: Partial<StoredMessage> = {}): StoredMessage => ({
  ...makeInboxMessage({ conversationId: "c", sequence, messageId: `m${sequence}` }),
  ...{ senderId: "u-bob", text: `text ${sequence}`, receivedAtMs: 1_000 + sequence, ...more },
});

const rows = (...messages: StoredMessage[]) => ({ messages, settings: [], groups: [] });
const snapshot = (version: number) => ({ bytes: new Uint8Array([1, 2, version]), version });

const send = (id: string): SendRecord => ({
  ...{ clientMessageId: id, to: { userId: "u-bob" }, text: `send ${id}`, sentAtMs: 5 },
  outcome: { state: "open" },
});
const acknowledged: SendRecord["outcome"] = {
  state: "acknowledged",
  ...{ atMs: 6, messageId: "m9", conversationId: "c", sequence: 9 },
};

/** Closes the store, and opens it again where that brings something back. */
async function again(engine: StoreEngine, store: DeviceStore, name: string): Promise<DeviceStore> {
  if (!engine.outlivesRuns) return store;
  await store.close();
  return engine.open(name);
}

export function storeSuite(name: string, engine: StoreEngine): void {
  test(`${name}: messages once, in the conversation's order, with the snapshot after them`, async () => {
    let store = await engine.open("messages");
    store.belongTo("u-ann");
    expect(store.add(rows(message(2), message(1)), snapshot(2)).messages.length).toBe(2);
    expect(store.add(rows(message(2), message(3)), snapshot(3)).messages.length).toBe(1);
    store = await again(engine, store, "messages");
    expect((await store.messages("c")).map(({ text }) => text)).toEqual([
      ...["text 1", "text 2", "text 3"],
    ]);
    expect(await store.conversations()).toEqual(["c"]);
    expect([...store.snapshot.bytes, store.snapshot.version]).toEqual([1, 2, 3, 3]);
    expect(store.counts).toMatchObject({ messages: 3, doubles: 0 });
    expect(store.add(rows(message(3)), undefined).messages).toEqual([]);
    expect(store.book.summary("c")?.unread).toBe(3);
    await store.close();
  });

  test(`${name}: sends keep their outcome; open ones are known`, async () => {
    let store = await engine.open("sends");
    for (const id of ["a", "b", "c"]) store.recordSend(send(id));
    store.recordSend({ ...send("a"), outcome: acknowledged });
    store.recordSend({ ...send("b"), outcome: { state: "failed", atMs: 7, code: "UNAVAILABLE" } });
    store = await again(engine, store, "sends");
    expect(store.openSends()).toEqual([send("c")]);
    expect((await store.sends()).map(({ outcome }) => outcome.state)).toEqual([
      ...["acknowledged", "failed", "open"],
    ]);
    await store.close();
  });

  test(`${name}: what was sent before the log-in is whose log-in it is`, async () => {
    let store = await engine.open("early");
    store.recordSend(send("early"));
    store.belongTo("u-ann");
    store = await again(engine, store, "early");
    expect(store.openSends()).toEqual([send("early")]);
    expect(() => store.belongTo("u-eve")).toThrow("holds what is u-ann's");
    await store.close();
  });

  test(`${name}: what was taken back, read and pinned stays so`, async () => {
    let store = await engine.open("settings");
    store.belongTo("u-ann");
    store.add(rows(message(1), message(2)), snapshot(2));
    const recall = { messageId: "m1", sequence: 1, senderId: "u-bob" };
    const content = makeContent({ body: { case: "recall", value: recall } });
    const { recalled } = store.add(rows(message(3, { text: "", content })), snapshot(3));
    expect(recalled).toEqual([{ conversationId: "c", sequence: 1 }]);
    const read = { case: "readSequence", value: 2 } as const;
    const pinned = { case: "pinnedAtMs", value: 77 } as const;
    const settings = [read, pinned].map((setting) => ({ conversationId: "c", setting }));
    store.add({ ...rows(), settings }, snapshot(4));
    store = await again(engine, store, "settings");
    expect((await store.messages("c"))[0]).toMatchObject({ recalled: true, text: "" });
    expect(store.book.summary("c")).toMatchObject({ readSequence: 2, pinnedAtMs: 77, unread: 0 });
    await store.close();
  });

  test(`${name}: what came again in a rebuild stays, over runs, and nothing else`, async () => {
    let store = await engine.open("rebuild");
    const settings = ["c", "d", "e"].map((conversationId) => {
      return { conversationId, setting: { case: "muted", value: true } as const };
    });
    const groups = ["g", "h"].map((groupId) => ({ groupId, sinceSequence: 1 }));
    store.add({ ...rows(message(1)), settings, groups }, snapshot(1));
    const first = { settings: settings.slice(0, 1), groups: groups.slice(0, 1) };
    store.add({ ...rows(), ...first, rebuild: "begins" }, snapshot(2));
    store = await again(engine, store, "rebuild");
    expect(store.book.isRebuilding).toBe(true);
    store.add({ ...rows(), settings: settings.slice(1, 2), rebuild: "ends" }, snapshot(3));
    for (let run = 0; run < 2; run++) {
      expect(store.book.isRebuilding).toBe(false);
      expect([...store.book.groups.keys()]).toEqual(["g"]);
      expect(["c", "d", "e"].map((id) => store.book.summary(id)?.muted)).toEqual([
        ...[true, true, false],
      ]);
      store = await again(engine, store, "rebuild");
    }
    await store.close();
  });

  test(`${name}: another user's messages are not mixed in`, async () => {
    const store = await engine.open("owner");
    store.belongTo("u-ann");
    store.add(rows(message(1)), snapshot(1));
    expect(() => store.belongTo("u-eve")).toThrow("holds what is u-ann's");
    await store.close();
  });

  const setting = { case: "draft", value: "dear Bob" } as const;
  const parts: [string, Partial<Rows>][] = [
    ["contacts", { contacts: [{ change: { case: "blocked", value: "u-bob" } }] }],
    ["a group", { groups: [{ groupId: "g", sinceSequence: 1 }] }],
    ["a draft", { settings: [{ conversationId: "c", setting }] }],
    ["a profile", { account: [{ change: { case: "profile", value: makeUserProfile({}) } }] }],
  ];
  test.each(parts)(
    `${name}: another user gets nothing of a store with %s alone`,
    async (part, of) => {
      let store = await engine.open(`owner of ${part}`);
      store.belongTo("u-eve");
      store.belongTo("u-ann"); // eve left nothing
      store.add({ ...rows(), ...of }, undefined);
      store = await again(engine, store, `owner of ${part}`);
      expect(() => store.belongTo("u-eve")).toThrow("holds what is u-ann's");
      await store.close();
    },
  );
}
