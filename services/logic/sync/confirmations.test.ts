import { afterEach, expect, test } from "vitest";
import type {
  ConfirmDevicesRequest,
  DeviceConfirmation,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Confirmations } from "./confirmations.ts";

/** What account data is told, in the order in which it is written. */
let written: string[];
let release: () => void;
let confirmations: Confirmations;

function start() {
  written = [];
  let held = Promise.resolve();
  let refusals = 0;
  const call = async (_: unknown, request: ConfirmDevicesRequest) => {
    if (refusals > 0) {
      refusals -= 1;
      throw new RpcError("STORAGE_REFUSED", "the disk takes no writes");
    }
    const wait = held;
    held = Promise.resolve();
    await wait;
    for (const { device, messagesVersion } of request.confirmations)
      written.push(`${device}@${messagesVersion}`);
    return {};
  };
  const accounts = { call } as unknown as Pick<Callee, "call">;
  const options = { everyMs: 3_600_000, sizeMax: 2_000 };
  confirmations = new Confirmations(accounts, silentLogger(), options);
  /** The next call, until it is released. */
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    release = resolve;
  };
  /** So many calls from now on. */
  const refuse = (calls: number) => {
    refusals = calls;
  };
  return { confirmations, hold, refuse };
}

afterEach(() => confirmations.stop());

const has = (device: string, messagesVersion: number): DeviceConfirmation => {
  return { userId: "u", device, messagesVersion, atMs: 1 };
};

test("confirmations: gathered, the newest of each device, until they are handed over", async () => {
  const { confirmations } = start();
  for (const [device, version] of [
    ["phone", 1],
    ["phone", 2],
    ["tablet", 1],
  ] as const)
    confirmations.note(has(device, version));
  expect(written).toEqual([]);
  await confirmations.flush();
  confirmations.note(has("phone", 2));
  await confirmations.flush();
  expect(written).toEqual(["phone@2", "tablet@1"]);
});

test("confirmations: of a device that begins anew nothing older is written afterwards", async () => {
  const { confirmations } = start();
  confirmations.note(has("phone", 100));
  await confirmations.begin(has("phone", 0), {});
  await confirmations.flush();
  expect(written).toEqual(["phone@0"]);
  confirmations.note(has("phone", 100));
  await confirmations.flush();
  expect(written).toEqual(["phone@0", "phone@100"]);
  await confirmations.begin(has("phone", 0), {});
  confirmations.note(has("phone", 100));
  await confirmations.flush();
  expect(written.slice(2)).toEqual(["phone@0", "phone@100"]);
});

test("confirmations: a device that begins anew waits for what is on its way", async () => {
  const { confirmations, hold } = start();
  confirmations.note(has("phone", 100));
  hold();
  const flushed = confirmations.flush();
  const begun = confirmations.begin(has("phone", 0), {});
  release();
  await Promise.all([flushed, begun]);
  expect(written).toEqual(["phone@100", "phone@0"]);
});

test("confirmations: more than a batch is handed over whole", async () => {
  const { confirmations } = start();
  for (let i = 0; i < 1_200; i++) confirmations.note(has(`d${i}`, 1));
  await confirmations.flush();
  expect(written).toHaveLength(1_200);
});

test("confirmations: a first one that disks refuse is owed until they take writes, and holds nobody up", async () => {
  const { confirmations, refuse } = start();
  refuse(3);
  await confirmations.begin(has("phone", 0), {});
  confirmations.note(has("tablet", 4));
  await confirmations.flush(); // what is owed is refused, and so is the rest, which is let go
  expect(written).toEqual([]);
  confirmations.note(has("phone", 7));
  await confirmations.flush();
  expect(written).toEqual(["phone@7"]);
});

test("confirmations: a first one that fails for another reason is the device's to repeat", async () => {
  const { confirmations } = start();
  const failing = new Confirmations(
    { call: () => Promise.reject(new RpcError("NO_QUORUM", "two are gone")) } as unknown as Pick<
      Callee,
      "call"
    >,
    silentLogger(),
    { everyMs: 3_600_000, sizeMax: 10 },
  );
  await expect(failing.begin(has("phone", 0), {})).rejects.toThrow("two are gone");
  await failing.stop();
  await confirmations.flush();
});
