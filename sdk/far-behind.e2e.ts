/** A device that was away for very long: what it missed comes in pages, and hurts nobody else. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sync } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { deliverMissed } from "./testing/missed.ts";
import { People } from "./testing/people.ts";

const MISSED = 100_000;
const CONVERSATION = "c:07au1-1|07au1-2";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform();
  people = new People(platform.endpoints);
});
afterAll(async () => {
  await people.close();
  await platform.stop();
});

test("M5: a device that missed 100,000 messages gets each once, in order, while others talk on", async () => {
  const bob = await people.offline("bob", { autoSync: false, wantPush: false });
  const userIds = [bob.id];
  await deliverMissed(platform, { conversationId: CONVERSATION, userIds, count: MISSED });
  const ann = await people.online("ann", { campus: "b" });
  const cid = await people.online("cid", { campus: "c" });
  await bob.client.connect();
  let isSyncing = true;
  const synced = bob.client.sync().finally(() => {
    isSyncing = false;
  });
  let sent = 0;
  for (; isSyncing; sent++) await ann.client.send({ userId: cid.id }, `still here ${sent}`);
  await synced;
  const sequences = bob.heard.map((message) => message.sequence);
  expect(sequences).toEqual(Array.from({ length: MISSED }, (_, i) => i + 1));
  expect(bob.client.store.counts.doubles).toBe(0);
  // Fewer than one a page would mean that somebody waited for the whole of it.
  expect(sent).toBeGreaterThan(MISSED / 500 / 10);
  await expect.poll(() => cid.heard.length).toBe(sent);
});

test("M5: no page is larger than it may be, whatever a client asks for", async () => {
  const eve = await people.offline("eve", { campus: "c" });
  await deliverMissed(platform, { conversationId: CONVERSATION, userIds: [eve.id], count: 5_000 });
  const issuedAtMs = Date.now();
  const who = { userId: eve.id, device: "desk", issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
  const options = { ticket: platform.signer.sign(who) };
  const sync = platform.callee("sync", "access");
  let snapshot: Uint8Array = new Uint8Array(0);
  for (let got = 0; got < 5_000; ) {
    const page = await sync.call(Sync.sync, { snapshot, limit: 1_000, allParts: false }, options);
    expect(page.messages.length).toBeGreaterThan(0);
    expect(page.messages.length).toBeLessThanOrEqual(1_200); // a change is not cut
    got += page.messages.length;
    expect(page.more).toBe(got < 5_000);
    snapshot = Buffer.from(page.snapshot);
  }
  const tooMany = sync.call(Sync.sync, { snapshot, limit: 1_001, allParts: false }, options);
  await expect(tooMany).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
