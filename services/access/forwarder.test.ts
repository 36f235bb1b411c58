import { expect, test } from "vitest";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import { Client } from "../svrkit/client.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { keptLog } from "../svrkit/testing/kept-log.ts";
import { newTicketKeys } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { Forwarder } from "./forwarder.ts";
import { CLIENT_METHODS } from "./methods.ts";

test("forwarder: a request fails unexpectedly: its client hears so, the log why, with its trace", async () => {
  const { log, lines } = keptLog();
  const method = [...CLIENT_METHODS.values()].find(({ needsTicket }) => !needsTicket)!;
  const client = new Client({ process: "test", campus: "a" });
  const seen: Uint8Array[] = [];
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    own: new Map([
      [
        method.hash,
        (_body, { trace }) => {
          seen.push(trace!);
          throw new Error("a defect");
        },
      ],
    ]),
    rates: new TokenBuckets({ perSecond: 1, burst: 1 }),
    sampler: new Sampler(0),
    log,
    now: () => 0,
  });
  const request = { ticket: NO_BYTES, body: NO_BYTES, isForced: false };
  await expect(forwarder.forward(method, request)).rejects.toMatchObject({ code: "INTERNAL" });
  client.stop();
  const trace = Buffer.from(seen[0]!.subarray(0, 16)).toString("hex");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    msg: "a request failed unexpectedly",
    method: method.name,
    trace,
  });
  expect(JSON.stringify(lines[0])).toContain("a defect");
});
