/** What may be said of an integrator's servers, in a file of one machine and in a DataCenter alike. Pure. */
import { z } from "zod";
import { EVENT_KINDS } from "./hooks/plan/event.ts";

/** A name and a password in it would stand wherever configurations and troubles are shown. */
export const hookUrl = z
  .url({ protocol: /^https?$/ })
  .regex(/^[^/]+:\/\/[^/?#@]+([/?#]|$)/, "no name and no password in it: requests are signed");

const HOST = "(\\[[0-9A-Fa-f:.]+\\]|[^\\[\\]/?#@:\\s]+)";

/** An API server knows of the rest of hookUrl only what a pattern says. */
const url = hookUrl
  .max(2_048)
  .meta({ pattern: `^https?://${HOST}(:[1-9][0-9]{0,4})?([/?#]\\S*)?$` })
  .describe("Where requests are posted to: http[s]://host[:port]/path.");

const posts = {
  url,
  timeoutMs: z.int().min(10).max(30_000).default(5_000).describe("How long one request takes, ms."),
  attempts: z
    .int()
    .min(1)
    .max(20)
    .default(8)
    .describe("What fails so often, while other requests are taken, lies among the dead letters."),
  waitMaxMs: z
    .int()
    .min(1)
    .max(7 * 24 * 3_600_000)
    .default(3_600_000)
    .describe("How long what is told waits for a server that takes nothing, ms."),
  pauseFirstMs: z
    .int()
    .min(1)
    .max(60_000)
    .default(500)
    .describe("The pause after the first attempt, ms; it doubles."),
  pauseLastMs: z.int().min(1).max(600_000).default(60_000).describe("The longest pause, ms."),
  itemsMax: z.int().min(1).max(500).default(100).describe("Events or pushes of one request."),
};

const withText = (isUsual: boolean) =>
  z.boolean().default(isUsual).describe("Texts are told, too, and not only who wrote to whom.");

/** A server that has a say before a message is taken. */
export const beforeSendHook = z.strictObject({
  url,
  timeoutMs: z.int().min(10).max(3_000).default(1_000).describe("How long its answer takes, ms."),
  onFailure: z
    .enum(["allow", "refuse"])
    .default("allow")
    .describe("What becomes of a message when there is no answer."),
});

/** A server that is told of what happened. */
export const eventsHook = z.strictObject({
  ...posts,
  kinds: z
    .array(z.enum(EVENT_KINDS))
    .min(1)
    .default([...EVENT_KINDS])
    .describe("What is told."),
  withText: withText(true),
});

/** A server that rings devices that are not connected. */
export const pushesHook = z.strictObject({ ...posts, withText: withText(false) });
