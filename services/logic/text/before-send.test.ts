import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { makeContent } from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";
import { BeforeSend } from "./before-send.ts";

const SECRET = "shared";
const NOW = 1_700_000_000_000;

let server: Server;
let url: string;
let answer: { status: number; body: string } | "silence" | "endless";
let bytesSent = 0;
const asked: { signature: unknown; body: string }[] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    asked.push({ signature: request.headers[SIGNATURE_HEADER], body: await readText(request) });
    if (answer === "endless") sendEndlessly(response);
    else if (answer !== "silence") response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
/** As fast as it is read, until nobody reads any more. */
function sendEndlessly(response: ServerResponse): void {
  const part = Buffer.alloc(64 * 1024, " ");
  while (!response.destroyed) {
    bytesSent += part.length;
    if (response.write(part)) continue;
    response.once("drain", () => sendEndlessly(response));
    return;
  }
}

beforeEach(() => {
  asked.length = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const message = {
  ...{ conversationId: "c:a|b", clientMessageId: "m1", senderId: "a", recipientId: "b" },
  ...{ text: "hello", content: undefined, recalled: false, takesBack: undefined },
};

const hook = (onFailure: "allow" | "refuse", at = url) =>
  new BeforeSend({ url: at, secret: () => SECRET, timeoutMs: 2_000, onFailure, now: () => NOW });

test("before send: the server is asked, signed, and lets it pass", async () => {
  answer = { status: 200, body: '{"allow":true}' };
  expect(await hook("refuse").refusal(message)).toBeUndefined();
  const [{ signature, body }] = asked as [(typeof asked)[number]];
  expect(JSON.parse(body)).toMatchObject({ event: "message.before", senderId: "a", text: "hello" });
  expect(signature).toBe(signatureOf(SECRET, NOW, body));
  expect(signature).not.toBe(signatureOf("another", NOW, body));
});

test("before send: what it refuses is refused with its reason", async () => {
  answer = { status: 200, body: '{"allow":false,"reason":"no links, please"}' };
  expect(await hook("allow").refusal(message)).toMatchObject({
    ...{ code: "PERMISSION_DENIED", message: "no links, please" },
  });
});

test.each([
  ["an error", { status: 500, body: '{"allow":false}' }],
  ["no JSON", { status: 200, body: "<html>" }],
  ["neither yes nor no", { status: 200, body: '{"allow":"no"}' }],
  ["far too much", { status: 200, body: `{"allow":true,"x":"${"y".repeat(5_000)}"}` }],
  ["silence", "silence" as const],
])(
  "before send: %s is no answer: the message goes on, or its sender tries again",
  async (_, given) => {
    answer = given;
    expect(await hook("allow").refusal(message)).toBeUndefined();
    await expect(hook("refuse").refusal(message)).rejects.toMatchObject({
      ...{ code: "UNAVAILABLE", retryable: true },
    });
  },
);

test("before send: an answer without end is not read to its end", async () => {
  answer = "endless";
  expect(await hook("refuse").refusal(message).catch(String)).toContain("cannot be reached");
  // What lies in buffers on its way, and no more.
  expect(bytesSent).toBeLessThan(16 * 1024 * 1024);
});

test("before send: the server is told what is in a card, and of a voice all but its bytes", async () => {
  answer = { status: 200, body: '{"allow":true}' };
  const card = { of: { case: "userId" as const, value: "eve" }, title: "Eve" };
  const voice = { data: Buffer.from("x"), mime: "audio/ogg", durationMs: 900 };
  const bodies = [{ case: "card", value: card } as const, { case: "voice", value: voice } as const];
  for (const body of bodies) {
    await hook("refuse").refusal({ ...message, content: makeContent({ body }) });
  }
  const told = asked.map(({ body }) => JSON.parse(body));
  expect(told).toMatchObject([
    { contentKind: "card", content: card },
    { contentKind: "voice", content: { mime: "audio/ogg", durationMs: 900 } },
  ]);
  expect(told[1].content).not.toHaveProperty("data");
});
