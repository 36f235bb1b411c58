/** What is carried out, what is refused, and what of it the rest of a round hears. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiClient } from "../kube/api-client.ts";
import { plainConnection } from "../kube/connection.ts";
import type { StoreLink } from "../observe/store-link.ts";
import { type Action, actionKey } from "../plan/actions.ts";
import { ApiDouble } from "../testing/api-double/server.ts";
import { PodSpace } from "../testing/pod-space.ts";
import { type Executor, execute } from "./execute.ts";
import { OwnWrites } from "./own-writes.ts";

let double: ApiDouble;
let client: ApiClient;
let pods: PodSpace;
let done: string[];
let round: Parameters<typeof execute>[1];
beforeEach(async () => {
  double = new ApiDouble();
  client = new ApiClient(plainConnection(await double.listen()));
  pods = new PodSpace(client, "n");
  done = [];
  round = {
    ...{ dataCenter: "main", writes: new OwnWrites() },
    ...{ outcomes: new Map(), refusals: new Map() },
  };
});
afterEach(async () => {
  client.stop();
  await double.close();
});

const evictionOf = (name: string, uid: string): Action => {
  return { act: "evict", name, uid, disturbs: "a", why: "" };
};

/** How many were carried out. */
function carryOut(...actions: Action[]): Promise<number> {
  const executor: Executor = {
    ...{ client, namespace: "n", leftMs: () => 1_000 },
    store: undefined as unknown as StoreLink,
    done: (_, action) => done.push(actionKey(action)),
  };
  return execute(executor, round, actions);
}

test.for([
  { code: 429, why: "the server is busy" },
  { code: 504, why: "its budget is changed all the while" },
  { code: 403, why: "the Role does not allow it" },
  { code: 500, why: "a webhook fails, or it has two budgets" },
])("evict: refused with $code, for $why: noted, and the next is evicted", async ({ code }) => {
  const [first, second] = [
    await pods.makePod("x-0", "x", true),
    await pods.makePod("y-0", "y", true),
  ];
  const fault = { fault: "status", code, retryAfterSeconds: 20 } as const;
  double.faultOf = ({ name, subresource }) =>
    subresource === "eviction" && name === "x-0" ? fault : undefined;
  expect(await carryOut(evictionOf("x-0", first), evictionOf("y-0", second))).toBe(1);
  expect([...round.refusals.keys()]).toEqual([`evict ${first}`]);
  expect(round.refusals.get(`evict ${first}`)).toContain(`${code} a fault`);
  expect(done).toEqual([`evict ${second}`]);
  double.faultOf = () => undefined;
  expect(await carryOut(evictionOf("x-0", first))).toBe(1);
  expect(round.refusals.size).toBe(0);
});

test("evict: another pod of that name stays, and nothing is said to be done", async () => {
  const uid = await pods.makePod("x-0", "x", true);
  expect(await carryOut(evictionOf("x-0", "of-one-before"))).toBe(0);
  expect(done).toEqual([]);
  expect(round.refusals.has("evict of-one-before")).toBe(true);
  // Nobody waits until copies show that it is gone.
  expect(round.writes.isEmpty).toBe(true);
  expect(await carryOut(evictionOf("x-0", uid))).toBe(1);
  expect(await carryOut(evictionOf("x-0", uid))).toBe(1); // gone is as good as evicted
});

test("evict: a server that fails otherwise ends the round, which comes again", async () => {
  const uid = await pods.makePod("x-0", "x", true);
  double.faultOf = () => ({ fault: "status", code: 503 });
  await expect(carryOut(evictionOf("x-0", uid))).rejects.toThrow("503");
  expect(round.refusals.size).toBe(0);
});
