import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileStore, readDeviceFile } from "./file-store.ts";
import {
  type DeviceStore,
  MemoryStore,
  type Rows,
  type SendRecord,
  type StoredMessage,
} from "./store.ts";

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-store-"));
  path = join(dir, "device");
});

afterEach(() => rmSync(dir, { recursive: true }));

function message(sequence: number, facts: Partial<StoredMessage> = {}): StoredMessage {
  const place = { messageId: `m${sequence}`, conversationId: "g1", sequence };
  const body = { senderId: "u1", clientMessageId: `c${sequence}`, text: `line ${sequence}\n"…"` };
  return {
    ...place,
    ...body,
    acceptedAtMs: 1_000,
    notice: undefined,
    content: undefined,
    recalled: false,
    apartBytes: 0,
    committedAtMs: 0,
    receivedAtMs: 1_000.125,
    ...facts,
  };
}

const rows = (...messages: StoredMessage[]): Rows => ({ messages, settings: [], groups: [] });

const snapshot = (version: number) => ({ bytes: Buffer.from([version]), version });

const send = (id: string, outcome: SendRecord["outcome"] = { state: "open" }): SendRecord => {
  return { clientMessageId: id, to: { groupId: "g1" }, text: "hi", sentAtMs: 5.5, outcome };
};

describe.each([
  ["memory", () => new MemoryStore()],
  ["file", () => new FileStore(path)],
] as [string, () => DeviceStore][])("device store (%s)", (_, open) => {
  test("a message is kept once, whatever comes again, and read in order", async () => {
    const store = open();
    expect(store.add(rows(message(2), message(3)), snapshot(2)).messages).toHaveLength(2);
    const again = store.add(rows(message(1), message(2), message(3)), snapshot(3));
    expect(again.messages.map((m) => m.sequence)).toEqual([1]);
    expect(await store.messages("g1")).toEqual([message(1), message(2), message(3)]);
    expect({ ...store.snapshot, bytes: Buffer.from(store.snapshot.bytes) }).toEqual(snapshot(3));
    expect(store.counts).toMatchObject({ messages: 3, doubles: 0 });
    await store.close();
  });

  test("a message id under a second sequence number is counted, not shown", async () => {
    const store = open();
    store.add(rows(message(1)), undefined);
    expect(store.add(rows(message(2, { messageId: "m1" })), undefined).messages).toEqual([]);
    expect(store.counts).toMatchObject({ messages: 1, doubles: 1 });
    await store.close();
  });

  test("sends are kept with their outcome", async () => {
    const store = open();
    const acknowledged = {
      state: "acknowledged",
      atMs: 9,
      messageId: "m",
      conversationId: "g1",
      sequence: 0,
    } as const;
    for (const id of ["a", "b", "c"]) store.recordSend(send(id));
    store.recordSend(send("a", acknowledged));
    store.recordSend(send("b", { state: "failed", atMs: 7, code: "TOO_LARGE" }));
    expect(store.openSends()).toEqual([send("c")]);
    const outcomes = (await store.sends()).map((s) => s.outcome.state);
    expect(outcomes).toEqual(["acknowledged", "failed", "open"]);
    await store.close();
  });
});

describe("file store", () => {
  test("everything is there after reopening, notices included", async () => {
    const first = new FileStore(path);
    const joined = message(4, { notice: { kind: 1, userId: "u9", untilMs: 0 } });
    first.add(rows(message(1), joined), snapshot(8));
    first.recordSend(send("open"));
    await first.close();
    const second = new FileStore(path);
    expect(second.snapshot).toEqual(snapshot(8));
    expect(second.openSends()).toEqual([send("open")]);
    expect(await second.messages("g1")).toEqual([message(1), joined]);
    const again = second.add(rows(message(1), message(2)), undefined);
    expect(again.messages).toEqual([message(2)]);
    await second.close();
    expect(readDeviceFile(path).map((line) => line.kind)).toEqual([
      "message",
      "message",
      "snapshot",
      "send",
      "message",
    ]);
  });

  test("a torn last line is cut off, at every byte, and the snapshot with it", async () => {
    const whole = new FileStore(path);
    whole.add(rows(message(1)), snapshot(1));
    await whole.flush();
    const good = readFileSync(path).length;
    whole.add(rows(message(2)), snapshot(2));
    await whole.close();
    const bytes = readFileSync(path);
    for (let length = good; length < bytes.length; length++) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      const torn = new FileStore(path);
      expect(torn.snapshot).toEqual(snapshot(1));
      torn.add(rows(message(2), message(3)), snapshot(3));
      await torn.close();
      const sequences = readDeviceFile(path).flatMap((l) =>
        l.kind === "message" ? [l.message.sequence] : [],
      );
      expect(sequences).toEqual([1, 2, 3]);
    }
  });

  test("a damaged line in the middle is an error, not a gap", () => {
    appendFileSync(path, '["device",1]\n["m","g1",1,\n["s","AQ==",1]\n');
    expect(() => new FileStore(path)).toThrow(/byte 13: the line is damaged/);
  });

  test("a kind of line that a newer version wrote stays, and is passed over", async () => {
    const newer = '["device",1]\n["later",7]\n["s","AQ==",1]\n';
    writeFileSync(path, newer);
    const store = new FileStore(path);
    expect(store.snapshot.version).toBe(1);
    await store.close();
    expect(readFileSync(path, "utf8")).toBe(newer);
    writeFileSync(path, '["device",2]\n');
    expect(() => new FileStore(path)).toThrow(/byte 0: format 2 is not known here/);
  });

  test("what is flushed is on the disk; to be read it need not be", async () => {
    // Takes every write, and cannot be synced.
    const store = new FileStore("/dev/null");
    store.add(rows(message(1)), snapshot(1));
    expect(await store.messages("g1")).toEqual([]);
    await expect(store.flush()).rejects.toThrow("/dev/null cannot be written");
    expect(() => store.add(rows(message(2)), undefined)).toThrow("/dev/null cannot be written");
    await expect(store.close()).rejects.toThrow("/dev/null cannot be written");
    const manyOnADisk = new FileStore("/dev/null", { outlivesPowerCuts: false });
    manyOnADisk.add(rows(message(1)), snapshot(1));
    await manyOnADisk.flush();
    await manyOnADisk.close();
  });

  test("a disk that refuses is said, and later writes are refused", async () => {
    const full = new FileStore("/dev/full");
    await expect(full.flush()).rejects.toThrow("/dev/full cannot be written");
    expect(() => full.add(rows(message(1)), undefined)).toThrow("/dev/full cannot be written");
    await expect(full.close()).rejects.toThrow("/dev/full cannot be written");
  });
});
