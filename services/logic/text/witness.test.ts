import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { OpenSend } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { Witness } from "./witness.ts";

let folder: string;
let path: string;
const witnesses: Witness[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tricampus-witness-"));
  path = join(folder, "text", "open-sends");
  mkdirSync(join(folder, "text"));
});
afterEach(async () => {
  for (const witness of witnesses.splice(0)) await witness.stop();
  rmSync(folder, { recursive: true });
});

const open = (id: string, openedAtMs = Date.now()): OpenSend => ({
  ...{ id, clientMessageId: `k-${id}`, ticket: Buffer.from("ticket"), openedAtMs },
});

function startWitness(
  finish: (send: OpenSend) => Promise<void> = async () => {},
  { sweepAfterMs = 60_000, onTrouble = (_why: string | undefined) => {} } = {},
): Witness {
  const now = () => performance.now();
  const witness = new Witness({ path, sizeMax: 1_000, sweepAfterMs, now, finish, onTrouble });
  witnesses.push(witness);
  return witness;
}

/** What a witness that starts now would look after; the file is left as a crash leaves it. */
const left = () => startWitness().size;

test("witness: finishes what is not closed, under the sender's ticket, and nothing else", async () => {
  const finished: string[] = [];
  const witness = startWitness(
    async (send) => {
      finished.push(`${send.clientMessageId} ${Buffer.from(send.ticket)}`);
    },
    { sweepAfterMs: 100 },
  );
  witness.take({ opened: [open("m1"), open("m2")], closed: [] });
  witness.take({ opened: [open("m3")], closed: ["m1", "m3"] });
  await expect.poll(() => finished).toEqual(["k-m2 ticket"]);
  await expect.poll(() => witness.size).toBe(0);
});

test("witness: a day-old send is left to its sender", async () => {
  const finish = vi.fn(async () => {});
  const witness = startWitness(finish, { sweepAfterMs: 1 });
  witness.take({ opened: [open("m1", Date.now() - 25 * 3_600_000)], closed: [] });
  await expect.poll(() => witness.size).toBe(0);
  expect(finish).not.toHaveBeenCalled();
});

test("witness: looks three times for a commit", async () => {
  const finish = vi.fn(async () => {
    throw new RpcError("NOT_FOUND", "nothing was committed");
  });
  const witness = startWitness(finish, { sweepAfterMs: 1 });
  witness.take({ opened: [open("m1")], closed: [] });
  await expect.poll(() => witness.size, { timeout: 5_000 }).toBe(0);
  expect(finish).toHaveBeenCalledTimes(3);
});

test("witness file: what is open outlives a crash, what is closed or finished does not", async () => {
  const finish = async ({ id }: OpenSend) => {
    if (id === "m3") throw new RpcError("NO_QUORUM", "not yet");
  };
  const witness = startWitness(finish, { sweepAfterMs: 400 });
  const started = performance.now();
  witness.take({ opened: [open("m1"), open("m2"), open("m3")], closed: [] });
  witness.take({ opened: [], closed: ["m2"] });
  await expect.poll(left, { interval: 20 }).toBe(2);
  expect(performance.now() - started).toBeLessThan(400);
  await expect.poll(left, { timeout: 5_000 }).toBe(1);
  expect(witness.size).toBe(1);
});

test("witness file: the rest of a torn record counts for nothing, what is before it does", async () => {
  startWitness().take({ opened: [open("m1")], closed: [] });
  await expect.poll(left).toBe(1);
  appendFileSync(path, readFileSync(path).subarray(0, -3));
  expect(left()).toBe(1);
});

test("witness file: holds no ticket when nothing is open", async () => {
  const witness = startWitness();
  witness.take({ opened: [open("m1")], closed: [] });
  witness.take({ opened: [], closed: ["m1"] });
  await expect.poll(() => statSync(path, { throwIfNoEntry: false })?.size ?? -1).toBeGreaterThan(0);
  expect(statSync(path).mode & 0o077).toBe(0);
  await expect.poll(() => statSync(path).size, { timeout: 5_000 }).toBe(0);
});

test("witness file: a disk that takes no writes is said and got over; sends are finished", async () => {
  rmSync(join(folder, "text"), { recursive: true });
  const said: string[] = [];
  const finish = vi.fn(async () => {});
  const witness = startWitness(finish, {
    sweepAfterMs: 10_000,
    onTrouble: (why) => said.push(why === undefined ? "over" : "trouble"),
  });
  witness.take({ opened: [open("m1")], closed: [] });
  await expect.poll(() => said, { timeout: 5_000 }).toEqual(["trouble", "trouble"]);
  witness.take({ opened: [open("m2")], closed: [] });
  mkdirSync(join(folder, "text"));
  await expect.poll(() => said.at(-1), { timeout: 5_000 }).toBe("over");
  expect(left()).toBe(2);
});
