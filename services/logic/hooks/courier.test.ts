import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";
import { Courier } from "./courier.ts";
import { Endpoint } from "./endpoint.ts";

const NOW = 1_700_000_000_000;
const SECRET = "shared";
const LIMITS = { attempts: 3, pauseFirstMs: 1, pauseLastMs: 2, itemsMax: 3 };

let server: Server;
let url: string;
/** What the server says to a request about these numbers. */
let statusFor: (numbers: readonly number[]) => number | "silence";
const requests: number[][] = [];
const signatures: [signature: unknown, body: string][] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const body = await readText(request);
    signatures.push([request.headers[SIGNATURE_HEADER], body]);
    const numbers = (JSON.parse(body) as { events: { n: number }[] }).events.map(({ n }) => n);
    requests.push(numbers);
    const status = statusFor(numbers);
    if (status !== "silence") response.writeHead(status).end("whatever");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
beforeEach(() => {
  requests.length = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function courier(at = url, stopped = new AbortController().signal, timeoutMs = 200) {
  const troubles: (string | undefined)[] = [];
  const made = new Courier({
    endpoint: new Endpoint({ url: at, secret: SECRET, timeoutMs, now: () => NOW }),
    ...{ field: "events", limits: LIMITS, stopped, random: () => 0 },
    onTrouble: (why) => troubles.push(why),
  });
  return { troubles, deliver: (...numbers: number[]) => made.deliver(numbers.map((n) => ({ n }))) };
}

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

test("courier: after its attempts it is given up; a server that is down gets one each until it answers", async () => {
  statusFor = () => 500;
  const { deliver, troubles } = courier();
  expect(await deliver(1, 2)).toEqual([
    { at: 0, why: "status 500" },
    { at: 1, why: "status 500" },
  ]);
  expect(requests).toHaveLength(LIMITS.attempts);
  expect(await deliver(3)).toHaveLength(1);
  expect(requests).toHaveLength(LIMITS.attempts + 1);
  statusFor = () => 200;
  expect(await deliver(4)).toEqual([]);
  expect(troubles).toEqual(["status 500", "status 500", undefined]);
  statusFor = () => 500;
  requests.length = 0;
  await deliver(5);
  expect(requests).toHaveLength(LIMITS.attempts);
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
  const [only] = await courier(at()).deliver(1);
  expect(only!.why).toContain(reason);
});

test("courier: the stop ends the waiting, and nothing counts as given up", async () => {
  const stopping = new AbortController();
  statusFor = () => {
    stopping.abort(new Error("stopping"));
    return 500;
  };
  await expect(courier(url, stopping.signal).deliver(1)).rejects.toThrow("stopping");
});

test("courier: the stop ends a request that is under way, and nothing counts as given up", async () => {
  const stopping = new AbortController();
  statusFor = () => {
    stopping.abort(new Error("stopping"));
    return "silence";
  };
  const { deliver } = courier(url, stopping.signal, 30_000);
  await expect(deliver(1)).rejects.toThrow("stopping");
});
