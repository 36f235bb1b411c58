/**
 * Disks of a whole platform that take no writes: said in words that help, reads go on, and when there
 * is room again so do writes. A really full disk needs the right to mount one; the injected faults
 * (testing/disk-faults.ts) need nothing.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { TricampusClient } from "../sdk/client.ts";
import { clientEndpoints } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { bringUp } from "./commands/up.ts";
import { makePlatform, removePlatform, tricampus } from "./testing/own-platform.ts";

const FAULTS = pathToFileURL(
  fileURLToPath(new URL("testing/disk-faults.ts", import.meta.url)),
).href;
const DISK_MIB = 256;
const LARGE = "x".repeat(30_000);

let platform: Platform | undefined;
let unmount = () => {};
const clients: TricampusClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  if (platform !== undefined) {
    await platform.kill();
    unmount();
    await removePlatform(platform);
    rmSync(`${platform.config.dataDir}.fault`, { force: true });
  }
  unmount = () => {};
  platform = undefined;
}, 60_000);

async function user(name: string): Promise<TricampusClient> {
  const endpoints = clientEndpoints(platform!.config).map(({ campus, host, port }) => ({
    ...{ campus, url: `ws://${host}:${port}` },
  }));
  const client = new TricampusClient({ endpoints, device: "phone", autoSync: false });
  clients.push(client);
  await client.register(name, "correct-horse");
  await client.connect();
  return client;
}

const textsOf = async (client: TricampusClient, conversationId: string) => {
  await client.sync();
  return (await client.store.messages(conversationId)).map((message) => message.text);
};

/** The last free bytes of a full disk take a few. */
async function sendUntilRefused(
  client: TricampusClient,
  to: { userId: string },
): Promise<{ accepted: number; refusal: string }> {
  for (let accepted = 0; accepted < 200; accepted++) {
    const refusal = await client.send(to, LARGE).then(() => undefined, String);
    if (refusal !== undefined) return { accepted, refusal };
  }
  return { accepted: 200, refusal: "nothing was refused" };
}

interface Disk {
  fail(): void;
  mend(): void;
}

async function startInjected(code: string): Promise<Disk> {
  platform = await makePlatform("compact");
  const fault = `${platform.config.dataDir}.fault`;
  process.env.TRICAMPUS_TEST_DISK_FAULT = fault;
  process.env.NODE_OPTIONS = `--import ${FAULTS}`;
  try {
    await platform.start();
  } finally {
    delete process.env.TRICAMPUS_TEST_DISK_FAULT;
    delete process.env.NODE_OPTIONS;
  }
  await bringUp(platform);
  return { fail: () => writeFileSync(fault, code), mend: () => rmSync(fault) };
}

function mount(dir: string, option: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", option, "tmpfs", dir], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A real disk that can be filled; with injected faults where nobody lets us mount one. */
async function startOnSmallDisk(): Promise<Disk> {
  platform = await makePlatform("compact");
  const { dataDir } = platform.config;
  if (!mount(dataDir, `size=${DISK_MIB}m`)) {
    await removePlatform(platform);
    return startInjected("ENOSPC");
  }
  unmount = () => execFileSync("umount", ["-l", dataDir]);
  await platform.start();
  await bringUp(platform);
  const filler = join(dataDir, "filler");
  const fail = () => {
    const { bavail, bsize } = statfsSync(dataDir);
    // Others write meanwhile: whatever does not fit any more, the disk is full afterwards.
    for (const [file, bytes] of [
      [filler, Math.max(0, bavail * bsize - 4096)],
      [`${filler}-2`, 1024 * 1024],
    ] as const) {
      try {
        writeFileSync(file, Buffer.alloc(bytes));
      } catch {
        // That was the rest.
      }
    }
  };
  const mend = () => {
    rmSync(filler, { force: true });
    rmSync(`${filler}-2`, { force: true });
  };
  return { fail, mend };
}

test("disks: a data folder that cannot be written is one line that says what to do", async () => {
  platform = await makePlatform("compact");
  const { dataDir } = platform.config;
  if (mount(dataDir, "ro")) unmount = () => execFileSync("umount", ["-l", dataDir]);
  else chmodSync(dataDir, 0o555);
  const result = await tricampus(dataDir, ["up", "--base-port", String(platform.config.basePort)]);
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(
    /^tricampus: [^\n]+make it writable, or name another folder[^\n]+\n$/,
  );
  unmount();
  unmount = () => {};
  chmodSync(dataDir, 0o700);
}, 30_000);

test.each([
  ["the disk is full", startOnSmallDisk],
  ["the disk became read-only", () => startInjected("EROFS")],
])(
  "disks: %s: writes are refused in words that help, reads go on, and it is got over",
  async (_situation, start) => {
    const disk = await start();
    const [ann, bob, cid] = await Promise.all([user("ann"), user("bob"), user("cid")]);
    const to = { userId: bob.userId! };
    // A table that is caught in the middle of a change cannot be read until disks take writes again:
    // what reads go on with is everything else.
    const quiet = await ann.send({ userId: cid.userId! }, "quiet");
    const { conversationId } = await ann.send(to, "before");
    disk.fail();
    const { accepted, refusal } = await sendUntilRefused(ann, to);
    expect(refusal).toMatch(/the disk takes no writes.*free space/);
    expect(await textsOf(cid, quiet.conversationId)).toEqual(["quiet"]);
    const { dataDir } = platform!.config;
    expect((await tricampus(dataDir, ["status"])).stdout).toMatch(/the disk takes no writes/);
    disk.mend();
    const sendAgain = () => ann.send(to, "after", "one-id").then(() => "sent", String);
    await expect.poll(sendAgain, { timeout: 20_000 }).toBe("sent");
    const texts = await textsOf(bob, conversationId);
    expect(texts.filter((text) => text !== LARGE)).toEqual(["before", "after"]);
    expect(texts.length - 2).toBeGreaterThanOrEqual(accepted);
  },
  90_000,
);
