/** Campus: one zone of a data centre, and whether it takes part in routing now. */
import { z } from "zod";
import { ALL_SERVICES, NOT_ROUTED } from "../../services/platform/services.ts";
import { campusName, conditions, immutable, observedGeneration, withRules } from "./schema.ts";

/** As the command line takes it (cli/block-arguments.ts). */
const ROUTED = ALL_SERVICES.filter((name) => !(name in NOT_ROUTED));

const spec = z.strictObject({
  dataCenter: withRules(
    z.string().min(1).describe("Name of the DataCenter, in the same namespace."),
    immutable("dataCenter"),
  ),
  name: withRules(campusName.describe("Which of its campuses this is."), immutable("name")),
  zone: withRules(
    z
      .string()
      .min(1)
      .describe("Its zone, as in the DataCenter: value of the label topology.kubernetes.io/zone."),
    immutable("zone"),
  ),
  block: z
    .strictObject({
      reason: z.string().min(3).max(200).describe("Why, for those who find it blocked."),
      until: z.iso
        .datetime()
        .describe("When it ends by itself, at most 24 hours from now, like 2026-11-21T15:04:05Z."),
      service: z
        .enum(ROUTED)
        .optional()
        .describe("One service of the campus, like text; the whole campus when left out."),
    })
    .optional()
    .describe(
      "Takes the campus, or one of its services, out of every routing decision. It is carried " +
        "into the control table once each time it changes; the table decides, and status says " +
        "what came of it. Removing it ends the block.",
    ),
  capacity: z
    .strictObject({
      busyPercentMax: z
        .int()
        .min(1)
        .max(100)
        .default(80)
        .describe(
          "How busy the busiest process may be when another campus is lost, in percent of one core.",
        ),
    })
    .prefault({})
    .describe("Whether two campuses can carry the whole load is judged by this."),
});

const status = z.strictObject({
  observedGeneration: observedGeneration.optional(),
  state: z
    .enum(["ok", "blocked", "degraded", "down", "unknown"])
    .optional()
    .describe("In one word."),
  pods: z.string().optional().describe("Pods that are ready, of those wanted."),
  block: z
    .strictObject({
      what: z.string().describe("The campus, or campus/service."),
      until: z.iso.datetime().describe("When it ends by itself."),
      reason: z.string(),
      who: z.string().describe("Who set it: a person, or campus/<name> for this object."),
    })
    .optional()
    .describe("What the control table says is blocked here now."),
  carried: z
    .strictObject({
      wish: z.string().describe("The block that was asked for; empty: none."),
      generation: z.int().describe("The generation that asked for it first."),
      outcome: z.enum(["Blocked", "Unblocked", "OtherCampusBlocked", "Refused", "Nothing"]),
      message: z.string().describe("What the table answered."),
    })
    .optional()
    .describe("What came of spec.block."),
  peaks: z
    .array(z.strictObject({ day: z.string(), busyPercent: z.int() }))
    .max(7)
    .optional()
    .describe("How busy the busiest process was, at most, on each of the last seven days."),
  conditions: conditions.optional(),
});

export const campusSchema = z.strictObject({
  spec: spec.describe("What is wanted."),
  status: status.optional().describe("What is."),
});

export type CampusSpec = z.output<typeof spec>;
export type CampusStatus = z.output<typeof status>;
