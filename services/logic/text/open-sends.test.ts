import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { WitnessRequest } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { OpenSends, type OpenSendsParts, witnessOrder } from "./open-sends.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const send = (id: string) => ({
  ...{ id, clientMessageId: `k-${id}`, ticket: Buffer.from("t"), openedAtMs: 1 },
});

function openSendsWith(order: readonly number[] = [1, 2]) {
  const told: string[] = [];
  const orders: unknown[] = [];
  const call = async (_method: unknown, request: WitnessRequest, options: { order: unknown }) => {
    told.push(`${request.opened.map((s) => s.id)}/${request.closed}`);
    orders.push(options.order);
    return {};
  };
  const witnesses = { call } as unknown as OpenSendsParts["witnesses"];
  return { openSends: new OpenSends({ witnesses, order }), told, orders };
}

test("open sends: told at once, before the turn ends, all of a turn together", async () => {
  const { openSends, told, orders } = openSendsWith();
  openSends.open(send("m1"));
  openSends.open(send("m2"));
  await Promise.resolve();
  expect(told).toEqual(["m1,m2/"]);
  expect(orders).toEqual([[1, 2]]);
});

test("open sends: closing goes with the next notice, or half a second later", async () => {
  const { openSends, told } = openSendsWith();
  openSends.close("m1");
  openSends.open(send("m2"));
  await Promise.resolve();
  openSends.close("m2");
  await vi.advanceTimersByTimeAsync(499);
  expect(told).toEqual(["m2/m1"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual(["m2/m1", "/m2"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("open sends: what is closed is told when the process stops, and nothing after that", () => {
  const { openSends, told } = openSendsWith();
  openSends.close("m1");
  openSends.stop();
  openSends.open(send("m2"));
  openSends.close("m2");
  expect(told).toEqual(["/m1"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("open sends: a campus alone has no witness", async () => {
  const { openSends, told } = openSendsWith([]);
  openSends.open(send("m1"));
  openSends.close("m1");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told).toEqual([]);
});

test("open sends: each campus has another one for its first witness", () => {
  const campuses = ["a", "b", "c"];
  const orders = campuses.map((own) => witnessOrder(campuses, own));
  expect(orders).toEqual([
    [1, 2],
    [2, 0],
    [0, 1],
  ]);
});
