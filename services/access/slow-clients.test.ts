/** A client that reads slower than it is told: it is told "sync later", and nobody else waits for it. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makePushRequest, Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import {
  encodeSyncRequest,
  makeInboxMessage,
  makeSyncRequest,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSnapshotPayload } from "../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { toBytes } from "../svrkit/codec.ts";
import { RawSocket } from "./testing/raw-client.ts";

/** More than kernels hold back for one connection. */
const PUSHES = 50;
const FIRST_VERSION = 1;
/** Nothing that compression makes small. */
const TEXT = randomBytes(300_000).toString("base64");

let platform: SmallPlatform;
beforeAll(async () => {
  platform = await startSmallPlatform();
});
afterAll(() => platform.stop());

async function attached(userId: string): Promise<{ socket: RawSocket; connection: number }> {
  const socket = await RawSocket.open(platform.endpoints[0]!.url);
  const who = { userId, device: "d" };
  const times = { issuedAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 };
  const versions = makeSnapshotPayload({ messagesVersion: FIRST_VERSION });
  const snapshot = platform.snapshots.seal(who, versions);
  await socket.attach(platform.signer.sign({ ...who, ...times }), { snapshot, wantPush: true });
  await socket.take((frame) => frame.kind?.case === "push", 30_000);
  const sync = makeSyncRequest({ snapshot, limit: 10 });
  await socket.request("Sync/Sync", toBytes(encodeSyncRequest, sync));
  const router = platform.calleeAs("text");
  const question = { userIds: [userId], takesIncomplete: true };
  const { locations } = await router.call(Router.lookup, question);
  return { socket, connection: locations[0]!.number };
}

function pushesOf(socket: RawSocket) {
  return socket.frames.flatMap(({ kind }) => (kind?.case === "push" ? [kind.value] : []));
}

test("access: who does not read gets a hint instead of rows, and the others all their rows", async () => {
  const slow = await attached("u-slow");
  const quick = await attached("u-quick");
  slow.socket.webSocket.pause();
  const message = makeInboxMessage({ conversationId: "c", messageId: "m", text: TEXT });
  const newest = FIRST_VERSION + PUSHES;
  for (let version = FIRST_VERSION + 1; version <= newest; version++) {
    const targets = [
      { connection: slow.connection, userId: "u-slow", version, follows: version - 1 },
      { connection: quick.connection, userId: "u-quick", version, follows: version - 1 },
    ];
    await platform.access.call(Push.push, makePushRequest({ targets, messages: [message] }));
    await until(() => pushesOf(quick.socket).at(-1)?.version === version, 30_000);
  }
  expect(pushesOf(quick.socket).every(({ messages }) => messages.length === 1)).toBe(true);

  slow.socket.webSocket.resume();
  const isHint = ({ messages }: { messages: unknown[] }) => messages.length === 0;
  await until(() => pushesOf(slow.socket).some(isHint), 30_000);
  // The hint is the last it hears until it syncs: what it read before are the rows in their order.
  const got = pushesOf(slow.socket);
  expect(got.findIndex(isHint)).toBe(got.length - 1);
  expect(got.length).toBeLessThan(PUSHES);
  expect(got.map(({ version }) => version).toSorted((x, y) => x - y)).toEqual(
    got.map(({ version }) => version),
  );
  expect(await slow.socket.ping(30_000)).toBe("pong");
  for (const { socket } of [slow, quick]) socket.close();
});
