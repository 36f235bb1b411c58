import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { rest } from "../../svrkit/rest.ts";
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";
import { Courier } from "./courier.ts";
import { Endpoint } from "./endpoint.ts";

const NOW = 1_700_000_000_000;
const SECRET = "shared";
const LIMITS = { attempts: 3, pauseFirstMs: 1, pauseLastMs: 2, waitMaxMs: 60_000, itemsMax: 3 };

let server: Server;
let url: string;
/** What the server says to a request about these numbers. */
let statusFor: (numbers: readonly number[]) => number | "silence";
const requests: number[][] = [];
const signatures: [signature: unknown, body: string][] = [];
const under = { way: 0, most: 0 };
let answersAfterMs = 0;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    under.most = Math.max(under.most, ++under.way);
    response.once("close", () => {
      under.way -= 1;
    });
    const body = await readText(request);
    signatures.push([request.headers[SIGNATURE_HEADER], body]);
    const numbers = (JSON.parse(body) as { events: { n: number }[] }).events.map(({ n }) => n);
    requests.push(numbers);
    if (answersAfterMs > 0) await rest(answersAfterMs);
    const status = statusFor(numbers);
    if (status !== "silence") response.writeHead(status).end("whatever");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
beforeEach(() => {
  answersAfterMs = 0;
  requests.length = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function courier({ at = url, stopped = new AbortController().signal, timeoutMs = 30_000 } = {}) {
  const troubles: (string | undefined)[] = [];
  const facts = { nowMs: NOW, hasRoom: true };
  const made = new Courier({
    endpoint: new Endpoint({ url: at, secret: () => SECRET, timeoutMs, now: () => NOW }),
    ...{ field: "events", limits: LIMITS, stopped, random: () => 0 },
    onTrouble: (why) => troubles.push(why),
    now: () => facts.nowMs,
    hasRoom: () => facts.hasRoom,
  });
  const deliverOf = (sinceMs: number, ...numbers: number[]) =>
    made.deliver(numbers.map((n) => ({ json: { n }, sinceMs })));
  const deliver = (...numbers: number[]) => deliverOf(NOW, ...numbers);
  /** Until that is settled, others come, and are taken. */
  const amidOthers = async <T>(waiting: Promise<T>): Promise<T> => {
    let isSettled = false;
    const settled = waiting.finally(() => {
      isSettled = true;
    });
    for (let n = 1_000; !isSettled; n++) expect(await deliver(n)).toEqual([]);
    return settled;
  };
  return { troubles, deliver, deliverOf, amidOthers, facts };
}

const tried = (n: number) => requests.filter((numbers) => numbers.includes(n)).length;

test("courier: items go in order, many in a request, each request signed", async () => {
  statusFor = () => 204;
  expect(await courier().deliver(1, 2, 3, 4)).toEqual([]);
  expect(requests).toEqual([[1, 2, 3], [4]]);
  for (const [signature, body] of signatures.slice(-2))
    expect(signature).toBe(signatureOf(SECRET, NOW, body));
});

test("courier: what fails is tried again, and nothing behind it goes first", async () => {
  let failures = 2;
  statusFor = ([first]) => (first === 1 && failures-- > 0 ? 503 : 200);
  expect(await courier().deliver(1, 2, 3, 4)).toEqual([]);
  expect(requests).toEqual([[1, 2, 3], [1, 2, 3], [1, 2, 3], [4]]);
});

test("courier: while the server is down one request at a time asks for it, and nothing is given up", async () => {
  statusFor = () => 503;
  const { deliver, troubles } = courier();
  const first = deliver(1);
  await expect.poll(() => requests.length).toBeGreaterThan(1);
  // So that those that are made at once are seen at once.
  answersAfterMs = 5;
  const others = [2, 3, 4, 5].map((n) => deliver(n));
  under.most = 0;
  // Many more than `attempts`, and all of them in turn.
  for (const n of [1, 2, 3, 4, 5])
    await expect.poll(() => tried(n)).toBeGreaterThan(LIMITS.attempts);
  expect(under.most).toBe(1);
  statusFor = () => 200;
  expect(await Promise.all([first, ...others])).toEqual([[], [], [], [], []]);
  expect(troubles.at(0)).toBe("status 503");
  expect(troubles.at(-1)).toBeUndefined();
});

test("courier: what alone fails while others are taken is found and given up; the others go on", async () => {
  statusFor = (numbers) => (numbers.includes(2) ? 500 : 200);
  const { deliver, amidOthers } = courier();
  expect(await amidOthers(deliver(1, 2, 3))).toMatchObject([{ at: 1, why: "status 500" }]);
  expect(requests).toContainEqual([1]);
  expect(requests).toContainEqual([3]);
});

test.each([
  ["alone", [1]],
  ["with others of its request", [1, 3]],
])(
  "courier: an answer to somebody else, and then none to anybody, gives nothing up (%s)",
  async (_, numbers) => {
    statusFor = (those) => (those.includes(2) ? 200 : 503);
    const { deliver } = courier();
    const waiting = deliver(...numbers);
    expect(await deliver(2)).toEqual([]);
    await expect.poll(() => tried(1)).toBeGreaterThan(4 * LIMITS.attempts);
    statusFor = () => 200;
    expect(await waiting).toEqual([]);
  },
);

test("courier: several that fail alone, beside one another, hold nobody up", async () => {
  const bad = [2, 20, 200];
  statusFor = (numbers) => (numbers.some((n) => bad.includes(n)) ? 500 : 200);
  const { deliver, amidOthers } = courier();
  const failing = Promise.all(bad.map((n) => deliver(n)));
  expect((await amidOthers(failing)).flat()).toHaveLength(bad.length);
  expect(await deliver(5_000)).toEqual([]);
});

test("courier: who was given up is not waited for when the server is down again", async () => {
  statusFor = () => 500;
  const { deliver, amidOthers } = courier();
  const waiting = Promise.all([deliver(2), deliver(3)]);
  await expect.poll(() => tried(2)).toBeGreaterThan(1);
  statusFor = (numbers) => (numbers.includes(2) ? 500 : 200);
  expect(await amidOthers(waiting)).toMatchObject([[{ at: 0 }], []]);
  statusFor = () => 500;
  const later = deliver(4);
  await expect.poll(() => tried(4)).toBeGreaterThan(2);
  statusFor = () => 200;
  expect(await later).toEqual([]);
});

test("courier: what waits too long for a server that is down is given up, what is younger waits on", async () => {
  statusFor = () => 500;
  const { deliver, facts } = courier();
  const waiting = deliver(1, 2);
  await expect.poll(() => requests.length).toBeGreaterThan(5);
  facts.nowMs = NOW + LIMITS.waitMaxMs + 1;
  expect(await waiting).toEqual([
    { at: 0, why: "status 500; it has waited for 60 s" },
    { at: 1, why: "status 500; it has waited for 60 s" },
  ]);
  facts.nowMs = NOW;
  const younger = deliver(3);
  statusFor = () => 200;
  expect(await younger).toEqual([]);
});

test("courier: what is old is tried before it is given up, for the server may be back", async () => {
  statusFor = () => 500;
  const { deliver, facts } = courier();
  const waiting = deliver(1);
  await expect.poll(() => requests.length).toBeGreaterThan(2);
  facts.nowMs = NOW + LIMITS.waitMaxMs + 1;
  expect(await waiting).toHaveLength(1);
  statusFor = () => 200;
  expect(await deliver(2)).toEqual([]);
});

test("courier: what is old is brought when the server takes it", async () => {
  statusFor = () => 200;
  const { deliver, facts } = courier();
  facts.nowMs = NOW + 2 * LIMITS.waitMaxMs;
  expect(await deliver(1)).toEqual([]);
});

test("courier: when the queue has no room for more, what waits is given up", async () => {
  statusFor = () => 500;
  const { deliver, facts } = courier();
  const waiting = deliver(1);
  await expect.poll(() => requests.length).toBeGreaterThan(2);
  facts.hasRoom = false;
  expect((await waiting)[0]!.why).toBe("status 500; the queue has no room for it to wait");
});

test("courier: when there is no room the oldest go first, and none that was not tried", async () => {
  statusFor = ([first]) => (first === 9 ? 200 : 500);
  const { deliverOf, facts } = courier();
  const order: number[] = [];
  const ages = [1_000, 3_000, 2_000, 5_000, 4_000, 6_000];
  const waiting = ages.map(async (age, i) => {
    const [only] = await deliverOf(NOW - age, i + 1);
    if (only !== undefined) order.push(age);
  });
  for (const n of [1, 2, 3, 4, 5, 6]) await expect.poll(() => tried(n)).toBeGreaterThan(1);
  facts.hasRoom = false;
  expect(await deliverOf(NOW - 9_000, 9)).toEqual([]);
  await Promise.all(waiting);
  expect(order).toEqual(ages.toSorted((a, b) => b - a));
});

test("courier: what the server refuses is found among the others and given up at once", async () => {
  statusFor = (numbers) => (numbers.includes(2) ? 422 : 200);
  expect(await courier().deliver(1, 2, 3)).toEqual([{ at: 1, why: "status 422" }]);
  expect(requests).toEqual([[1, 2, 3], [1], [2], [3]]);
});

test.each([
  ["silence", () => url, "timeout"],
  ["a name that nobody has", () => "http://nobody.invalid/", "nobody.invalid"],
])("courier: %s is a failure, with its reason", async (_, at, reason) => {
  statusFor = () => "silence";
  const { deliver, facts, troubles } = courier({ at: at(), timeoutMs: 50 });
  const waiting = deliver(1);
  await expect.poll(() => troubles.length, { timeout: 5_000 }).toBeGreaterThan(0);
  facts.nowMs += 2 * LIMITS.waitMaxMs;
  const [only] = await waiting;
  expect(only!.why).toContain(reason);
});

test("courier: the stop ends the waiting, and nothing counts as given up", async () => {
  const stopping = new AbortController();
  statusFor = () => 500;
  const { deliver } = courier({ stopped: stopping.signal });
  const waiting = [deliver(1), deliver(2), deliver(3)];
  await expect.poll(() => requests.length).toBeGreaterThan(3);
  stopping.abort(new Error("stopping"));
  for (const one of waiting) await expect(one).rejects.toThrow("stopping");
});

test("courier: the stop ends a request that is under way, and nothing counts as given up", async () => {
  const stopping = new AbortController();
  statusFor = () => {
    stopping.abort(new Error("stopping"));
    return "silence";
  };
  const { deliver } = courier({ stopped: stopping.signal, timeoutMs: 30_000 });
  await expect(deliver(1)).rejects.toThrow("stopping");
});
