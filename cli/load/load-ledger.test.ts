import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeInboxMessage } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { FileStore } from "../../sdk/file-store.ts";
import { countWrong } from "../ledger/ledger.ts";
import { deviceFile } from "../replay/files.ts";
import { makeLoadLedger } from "./load-ledger.ts";
import { textOf } from "./plan.ts";
import { writePopulation } from "./population-file.ts";
import { writeUnread } from "./unread-file.ts";

let storesDir: string;

beforeEach(() => {
  storesDir = mkdtempSync(join(tmpdir(), "tricampus-load-ledger-"));
});
afterEach(() => rmSync(storesDir, { recursive: true }));

const users = ["ann", "bob"].map((name) => ({ name, userId: `u-${name}`, devices: ["phone"] }));
const DUE_MS = 1_700_000_000_000;

/** ann sends `sent` messages to bob, whose device gets those numbered in `arrived`. */
async function makeStores(sent: number, arrived: readonly number[]): Promise<void> {
  writePopulation(storesDir, { run: "l", online: 2, users, groups: [] });
  const [ann, bob] = users.map(({ name, userId }) => {
    const store = new FileStore(deviceFile(storesDir, name, "phone"));
    store.belongTo(userId);
    return store;
  });
  const numbers = Array.from({ length: sent }, (_, i) => i + 1);
  for (const number of numbers) {
    const sentAtMs = DUE_MS + number;
    const about = { clientMessageId: `l-0-${number}`, text: textOf(sentAtMs, 64), sentAtMs };
    const send = { ...about, to: { userId: "u-bob" } };
    ann!.recordSend({ ...send, outcome: { state: "open" } });
    const facts = { messageId: `m${number}`, conversationId: "c:x", sequence: number };
    ann!.recordSend({ ...send, outcome: { state: "acknowledged", atMs: sentAtMs + 5, ...facts } });
    const row = makeInboxMessage({ ...about, ...facts, senderId: "u-ann" });
    const message = { ...row, receivedAtMs: sentAtMs + 10 * number };
    for (const store of arrived.includes(number) ? [ann!, bob!] : [ann!])
      store.add({ messages: [message], settings: [], groups: [] }, undefined);
  }
  for (const [index, store] of [ann!, bob!].entries()) {
    const { name: user } = users[index]!;
    writeUnread({ storesDir, generator: 0 }, { user, device: "phone", store });
    await store.close();
  }
}

test("load's ledger: clean when everybody has everything", async () => {
  await makeStores(3, [1, 2, 3]);
  const { counts, lastArrivalMs } = makeLoadLedger(storesDir);
  expect(countWrong(counts)).toBe(0);
  expect(counts).toMatchObject({ messages: 3, deliveries: 6 });
  expect(lastArrivalMs.max).toBeCloseTo(30, 0);
});

test("load's ledger: what was acknowledged and did not arrive is missing, and not unread", async () => {
  await makeStores(3, [1, 3]);
  const { counts, examples } = makeLoadLedger(storesDir);
  expect(counts).toMatchObject({ missing: 1, deliveries: 5, unreadWrong: 1 });
  expect(examples[0]).toContain("missing on bob/phone: l-0-2");
});

test("load's ledger: what came twice, or changed on its way, is found", async () => {
  await makeStores(2, [1, 2]);
  const path = deviceFile(storesDir, "bob", "phone");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const last = lines.findLast((line) => line.startsWith('["m"'))!;
  const changed = lines.map((line) => (line === last ? line.replace("fox", "cat") : line));
  writeFileSync(path, `${[...changed, last].join("\n")}\n`);
  expect(makeLoadLedger(storesDir).counts).toMatchObject({ duplicates: 1, altered: 1 });
});
