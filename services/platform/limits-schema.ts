/** What may be said of limits, in a file of one machine and in a DataCenter alike. */
import { z } from "zod";
import { BUSINESS_CLASSES } from "../svrkit/admission/priority.ts";

export const limitsSchema = z
  .strictObject({
    callsInFlightMax: z
      .int()
      .min(100)
      .max(1_000_000)
      .describe("Calls that a process works on at once; more are refused."),
    calleeCallsMax: z
      .int()
      .min(100)
      .max(1_000_000)
      .describe("Calls of one service that a process works on at once."),
    queueDelayMs: z
      .number()
      .min(1)
      .max(5_000)
      .describe("From this wait in its queue on, ms, a process refuses what is least urgent."),
    traceShare: z
      .number()
      .min(0)
      .max(1)
      .describe("Of so many requests one is traced: 0.001 is one in a thousand."),
    userRequestsPerSecond: z
      .number()
      .min(0.1)
      .max(100_000)
      .describe("Requests a second that one user may make."),
    userBurst: z.int().min(1).max(1_000_000).describe("Requests that one user may make at once."),
    classes: z
      .record(z.string().min(1).max(64), z.enum(BUSINESS_CLASSES))
      .describe(
        "How urgent requests are, by service (Moments) or method (Moments/Post): less urgent ones are shed first.",
      ),
    callers: z
      .record(z.string().min(1).max(64), z.array(z.string().min(1).max(64)).max(64))
      .describe(
        "Usual callers that remain, by service (kv.Kv) or method (kv.Kv/Write): it takes callers away, never adds one.",
      ),
  })
  .partial();
