/** KVGroup: three replicas of the store, one a campus, that own a set of slots. */
import { z } from "zod";
import {
  campusName,
  conditions,
  immutable,
  listByKey,
  observedGeneration,
  quantity,
  replaceAct,
  replacedStatus,
  resources,
  setOf,
  volumeRules,
  withRules,
} from "./schema.ts";

/** Kinds of data, each with slots of its own. The control table stays with the first group. */
export const KEYSPACES = [
  "account",
  "contact",
  "inbox",
  "message",
  "group",
  "moments",
  "media",
] as const;

const storage = withRules(
  z.strictObject({
    className: withRules(
      z.string().optional().describe("The StorageClass; the cluster's default when left out."),
    ),
    size: quantity
      .default("20Gi")
      .describe("How large each replica's volume is. It can grow and never shrinks."),
    policy: z
      .enum(["Retain", "Delete"])
      .default("Retain")
      .describe("What becomes of the volumes when the group is gone. Delete needs confirmDelete."),
    confirmDelete: z
      .string()
      .optional()
      .describe(
        "The name of this KVGroup, said again by somebody who wants its data to be deleted with it.",
      ),
  }),
  ...volumeRules("make another group and move the slots"),
);

const spec = z.strictObject({
  dataCenter: withRules(
    z.string().min(1).describe("Name of the DataCenter, in the same namespace."),
    immutable("dataCenter"),
  ),
  number: withRules(
    z
      .int()
      .min(1)
      .max(8)
      .describe(
        "Number of the group: the first one holds the control table, and every slot in the beginning.",
      ),
    immutable("number"),
  ),
  keyspaces: setOf(
    z
      .array(z.enum(KEYSPACES))
      .min(1)
      .default([...KEYSPACES])
      .describe("The kinds of data whose slots this group takes a share of."),
  ),
  slots: z
    .enum(["Even", "Manual"])
    .default("Even")
    .describe(
      "Even: slots are moved until all groups have the same share. Manual: only `tricampus slots` moves them.",
    ),
  storage: storage.prefault({}).describe("The volume of each replica."),
  resources: resources.optional(),
  cache: quantity.default("96Mi").describe("Memory of each replica for what is on the disk too."),
  replace: replaceAct
    .optional()
    .describe(
      "Gives one replica a new disk: its volume is deleted and it is rebuilt from both others. " +
        "For a node that is gone for good; `tricampus kv group replace` writes it. Taken back before that volume " +
        "was deleted, it is given up; after that it is brought to its end.",
    ),
  paused: z
    .boolean()
    .default(false)
    .describe(
      "True: nothing of this group is changed in the cluster, and none of its slots are moved.",
    ),
});

const replica = z.strictObject({
  campus: campusName,
  state: z
    .enum(["ok", "unready", "down", "pending", "unknown"])
    .describe(
      "ok: it serves and is caught up. unready: it answers, and must not be counted on. down: " +
        "it does not answer. pending: its pod cannot run.",
    ),
  message: z.string().describe("The store's own word, or the cluster's; empty when all is well."),
  node: z.string().describe("The node it is on; empty while it has none."),
});

const status = z.strictObject({
  observedGeneration: observedGeneration.optional(),
  zones: z.string().optional().describe("All three in one line, like a=ok b=down c=ok."),
  replicas: listByKey(z.array(replica).optional(), "campus"),
  slots: z.int().optional().describe("Slots that this group serves, of all kinds of data."),
  bootstrap: z
    .enum(["Permitted", "Done", "Adopted"])
    .optional()
    .describe(
      "Permitted: the empty volumes may become the group's disks, this once. Done: they are. " +
        "Adopted: the volumes were there before this object.",
    ),
  made: z
    .array(campusName)
    .max(3)
    .optional()
    .describe(
      "While bootstrap is Permitted: campuses whose replica has served once, so that an empty volume there may " +
        "not vote any more.",
    ),
  replaced: replacedStatus.optional().describe("How far the last act of spec.replace has come."),
  conditions: conditions.optional(),
});

export const kvGroupSchema = withRules(
  z.strictObject({
    spec: spec.describe("What is wanted."),
    status: status.optional().describe("What is."),
  }),
  {
    rule:
      "self.spec.storage.policy == 'Retain' || (has(self.spec.storage.confirmDelete) && " +
      "self.spec.storage.confirmDelete == self.metadata.name)",
    message:
      "storage.policy Delete deletes data: say this object's name in storage.confirmDelete, too",
  },
);

export type KvGroupSpec = z.output<typeof spec>;
export type KvGroupStatus = z.output<typeof status>;
export type ReplicaStatus = z.output<typeof replica>;
