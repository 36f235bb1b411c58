/** Requests over HTTP by a clock of the test: what they wait here, and how long they may take in all. */
import { expect, test } from "vitest";
import {
  encodeLoginReply,
  makeLoginReply,
} from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import type { CallOptions } from "../svrkit/call.ts";
import { Client } from "../svrkit/client.ts";
import { NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { Door } from "./door.ts";
import { Forgeries } from "./forgeries.ts";
import { Forwarder } from "./forwarder.ts";
import { createHttp } from "./http.ts";
import { REQUEST_TIMEOUT_MS } from "./limits.ts";
import { CLIENT_METHODS } from "./methods.ts";

const ISSUE_MS = 150;

test("http: in another's name: one deadline for both steps, and the first is no waiting of the second", async () => {
  let nowMs = 1_000;
  const now = () => nowMs;
  const keys = newTicketKeys();
  const who = { userId: "u-ann", device: "api", issuedAtMs: 1, expiresAtMs: Date.now() + 60_000 };
  const ticket = new TicketSigner("k1", keys.privateKey).sign(who);
  const deadlines: unknown[] = [];
  const issue = (_: Uint8Array, { deadlineMs }: CallOptions) => {
    deadlines.push(deadlineMs);
    nowMs += ISSUE_MS;
    return Promise.resolve(toBytes(encodeLoginReply, makeLoginReply({ ticket })));
  };
  const send = (_: Uint8Array, { deadlineMs }: CallOptions) => {
    deadlines.push(deadlineMs);
    return Promise.resolve(NO_BYTES);
  };
  const waits: { isSheddable: boolean; waitedMs: number }[] = [];
  const server = new Server({ process: "test", campus: "a" }, silentLogger());
  const client = new Client({ process: "test", campus: "a" });
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    own: new Map([
      [CLIENT_METHODS.get("Admin/IssueTicket")!.hash, issue],
      [CLIENT_METHODS.get("Text/Send")!.hash, send],
    ]),
    tickets: new TicketVerifier({ k1: keys.publicKey }),
    ...{ rates: new TokenBuckets({ perSecond: 1, burst: 9 }), sampler: new Sampler(0) },
    ...{ log: silentLogger(), now, arrived: now },
    server: {
      admits: (priority, call, atMs) => {
        waits.push({ isSheddable: priority !== NEVER_SHED, waitedMs: atMs - call.arrivedMs });
        return server.admits(priority, call, atMs);
      },
      ended: (priority, atMs) => server.ended(priority, atMs),
    },
  });
  client.stop();
  const http = createHttp(forwarder, {
    ...{ forgeries: new Forgeries(now), log: silentLogger(), door: new Door() },
    ...{ tls: undefined, origins: [] },
  });
  const url = await http.listen({ host: "127.0.0.1", port: 0 });
  const answer = await fetch(`${url}/v1/as/u-ann/Text/Send`, {
    ...{ method: "POST", body: "{}" },
    headers: { authorization: "Bearer a-key" },
  });
  expect(answer.status).toBe(200);
  expect(deadlines).toEqual(Array(2).fill(1_000 + REQUEST_TIMEOUT_MS));
  // The connection itself, which nothing is shed for, and the two steps.
  const step = { isSheddable: true, waitedMs: 0 };
  expect(waits).toEqual([{ isSheddable: false, waitedMs: 0 }, step, step]);
  await http.close();
});
