/** Pieces from which the schemas of all kinds are made. Descriptions are what `kubectl explain` prints. */
import { z } from "zod";

export const API_GROUP = "tricampus.dev";
export const API_VERSION = "v1alpha1";

/** A rule that the API server checks by itself (CEL); `message` tells the user what to do. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
}

export function withRules<T extends z.ZodType>(schema: T, ...rules: readonly Rule[]): T {
  return schema.meta({ ...schema.meta(), "x-kubernetes-validations": rules });
}

export const immutable = (what: string): Rule => ({
  rule: "self == oldSelf",
  message: `${what} cannot be changed: make a new object`,
});

/** Of { className, size }; `instead`: what can be done. */
export const volumeRules = (instead: string): readonly Rule[] => [
  {
    rule:
      "!has(self.size) || !has(oldSelf.size) || " +
      "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
    message: `storage.size: a volume never shrinks; ${instead}`,
  },
  {
    rule:
      "has(self.className) == has(oldSelf.className) && (!has(self.className) || " +
      "self.className == oldSelf.className)",
    message: `storage.className cannot be changed; ${instead}`,
  },
];

/** A list whose items are told apart by one field, so that several may own items of it. */
export function listByKey<T extends z.ZodType>(schema: T, key: string): T {
  const lists = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] };
  return schema.meta({ ...schema.meta(), ...lists });
}

export function setOf<T extends z.ZodType>(schema: T): T {
  return schema.meta({ ...schema.meta(), "x-kubernetes-list-type": "set" });
}

/** An amount like "500m", "96Mi", "20Gi" or 1. */
const AMOUNT = /^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$/;

export const quantity = z
  .union([z.string().regex(AMOUNT, "is no amount like 500m or 20Gi"), z.number()])
  .meta({ "x-kubernetes-int-or-string": true, pattern: AMOUNT.source });

export const campusName = z
  .string()
  .regex(/^[a-z][a-z0-9]{0,7}$/, "a campus is named by 1-8 of a-z and 0-9, a letter first");

export const resources = z
  .strictObject({
    requests: z.record(z.string(), quantity).optional().describe("What is set aside for a pod."),
    limits: z.record(z.string(), quantity).optional().describe("What a pod may use at most."),
  })
  .describe("CPU and memory of each pod.");

export type Resources = z.output<typeof resources>;

const condition = z.strictObject({
  type: z.string().describe("What is said, like Ready."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it is so."),
  reason: z.string().describe("Why, in one word; docs/runbook.md has a section for each."),
  message: z.string().describe("Why, for people."),
  observedGeneration: z.int().describe("The generation of the object that this was said of."),
  lastTransitionTime: z.iso.datetime().describe("Since when the status is what it is."),
});

export type Condition = z.output<typeof condition>;

export const conditions = listByKey(
  z.array(condition).describe("What is true of this object now, each with its reason."),
  "type",
);

export const observedGeneration = z
  .int()
  .describe("The generation of the object that the status was made for.");

export const replaceAct = z.strictObject({
  campus: campusName,
  act: z.string().min(1).describe("A new text for each act: what was done once is not done again."),
  reason: z.string().min(3).describe("Why, for the events and the audit log."),
});

export type Replace = z.output<typeof replaceAct>;

export const replacedStatus = z.strictObject({
  act: z.string(),
  campus: campusName,
  phase: z.enum(["Removing", "Rebuilding", "Done"]),
});

export type Replaced = z.output<typeof replacedStatus>;
