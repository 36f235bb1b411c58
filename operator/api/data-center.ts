/** DataCenter: one Tricampus platform, spread over three zones of this cluster. */
import { z } from "zod";
import { beforeSendHook, eventsHook, pushesHook } from "../../services/logic/hook-schema.ts";
import { limitsSchema } from "../../services/platform/limits-schema.ts";
import { mediaEngine, queueEngine, routerEngine, secretName } from "./engines.ts";
import { LAYOUTS, ONE_A_CAMPUS, WORKLOADS } from "./layouts.ts";
import { NETWORK_FORM } from "./network-form.ts";
import {
  campusName,
  conditions,
  immutable,
  listByKey,
  observedGeneration,
  replaceAct,
  replacedStatus,
  resources,
  withRules,
} from "./schema.ts";

const COMPACT = Object.keys(LAYOUTS.Compact);
const COMPACT_LIST = `[${COMPACT.map((name) => `'${name}'`).join(", ")}]`;

const service = withRules(
  z.strictObject({
    name: z
      .enum(WORKLOADS)
      .describe("Which pods: the name of a service, or of the pods that hold several."),
    replicas: z
      .int()
      .min(3)
      .max(300)
      .default(3)
      .describe("Pods in all three campuses together; each campus gets a third."),
    resources: resources.optional(),
    options: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ "x-kubernetes-preserve-unknown-fields": true })
      .describe(
        "The options of the services in these pods, by name of the service: they check them at their start.",
      ),
  }),
  {
    rule: "self.replicas % 3 == 0",
    message: "replicas: every campus gets a third, so the number must be divisible by three",
  },
  {
    rule: `!(self.name in [${ONE_A_CAMPUS.map((name) => `'${name}'`).join(", ")}]) || self.replicas == 3`,
    message: `${ONE_A_CAMPUS.join(", ")} have one pod a campus: replicas must be 3`,
  },
);

const signed = {
  secretName: secretName.describe(
    "A Secret whose key `secret` holds what requests are signed with; pods read it at their start.",
  ),
};

const hooks = z.strictObject({
  beforeSend: beforeSendHook
    .extend(signed)
    .optional()
    .describe("Whose server has a say before a message is taken; left out: nobody's."),
  events: eventsHook
    .extend(signed)
    .optional()
    .describe("Whose server is told of messages and groups afterwards; left out: nobody's."),
  pushes: pushesHook
    .extend(signed)
    .optional()
    .describe("Whose server rings devices that are not connected; left out: nobody's."),
});

const outsideDoor = <More extends z.core.$ZodLooseShape>(what: string, more: More) =>
  z.strictObject({
    ...more,
    type: z
      .enum(["ClusterIP", "NodePort", "LoadBalancer"])
      .default("ClusterIP")
      .describe(
        `How ${what} is reached from outside the cluster: not at all, at the nodes, or through a load balancer.`,
      ),
    addresses: listByKey(
      z
        .array(
          z.strictObject({
            campus: campusName,
            nodePort: z.int().min(1).max(65_535).optional().describe("With NodePort: which one."),
            address: z
              .string()
              .optional()
              .describe(
                "What people outside use, host:port, when it is not what the cluster knows.",
              ),
          }),
        )
        .max(3)
        .optional(),
      "campus",
    ),
  });

const spec = withRules(
  z.strictObject({
    id: withRules(
      z
        .int()
        .min(0)
        .max(255)
        .describe("Number of this data centre: part of every id that is born here."),
      immutable("id"),
    ),
    campuses: withRules(
      listByKey(
        z
          .array(
            z.strictObject({
              name: campusName.describe("Name of the campus: part of every id that is born in it."),
              zone: withRules(
                z
                  .string()
                  .min(1)
                  .describe(
                    "The zone that it is: value of the nodes' label topology.kubernetes.io/zone.",
                  ),
                immutable("zone"),
              ),
            }),
          )
          .length(3)
          .describe("The three campuses. Each has an object of kind Campus, too."),
        "name",
      ),
      {
        rule: "self.all(c, oldSelf.exists(o, o.name == c.name))",
        message: "campuses cannot be renamed: their names are in ids and on disks",
      },
    ),
    profile: z
      .enum(["Standard", "Dev"])
      .default("Standard")
      .describe(
        "Dev: everything of a campus in one pod, one zone allowed; for trying out, not highly available.",
      ),
    image: z
      .string()
      .min(1)
      .optional()
      .describe("The image of all Tricampus pods; the operator's own when left out."),
    imagePullSecrets: listByKey(
      z
        .array(z.strictObject({ name: z.string() }))
        .optional()
        .describe("Secrets for pulling images."),
      "name",
    ),
    layout: withRules(
      z
        .enum(["Compact", "Split"])
        .default("Compact")
        .describe(
          "Compact: a few kinds of pods, each with several services. Split: one kind a service.",
        ),
      immutable("layout"),
    ),
    services: listByKey(
      z.array(service).default([]).describe("Sizes that differ from three small pods."),
      "name",
    ),
    engines: z
      .strictObject({
        queue: queueEngine.prefault({}),
        router: routerEngine.prefault({}),
        media: mediaEngine.prefault({}),
      })
      .prefault({})
      .describe("What keeps the queue's logs, who is online where, and files."),
    hooks: hooks
      .optional()
      .describe(
        "Servers of integrators. Pods that call one are let out to its port, as foreignNetworks says; of a server " +
          "in this cluster that is the port of its pods, which its Service must have, too.",
      ),
    clients: outsideDoor("the access layer", {
      tls: z
        .strictObject({
          secretName: secretName.describe(
            "A Secret of type kubernetes.io/tls: the certificate that clients see. Renewed, it counts within minutes.",
          ),
        })
        .optional()
        .describe("Clients connect with TLS; without it connections are plain."),
    })
      .prefault({})
      .describe("Where clients connect: one address a campus."),
    admin: outsideDoor("the admin door", {})
      .prefault({})
      .describe("Where `tricampus` connects, with a client certificate: one address a campus."),
    tls: z
      .strictObject({
        // Campus after campus, pods of the one mode could not speak with those of the other.
        mode: withRules(
          z
            .enum(["Own", "Plain"])
            .default("Own")
            .describe(
              "Own: pods prove to each other with certificates of an own authority what they are. Plain: " +
                "connections are plain, for networks that nobody else is in.",
            ),
          immutable("tls.mode"),
        ),
      })
      .prefault({})
      .describe("Connections between pods."),
    networkPolicies: z
      .enum(["Enforced", "None"])
      .default("Enforced")
      .describe(
        "Enforced: pods take connections from each other, the operator, and people at their two doors alone. " +
          "None: there are no NetworkPolicies.",
      ),
    foreignNetworks: z
      .array(
        withRules(z.string().max(64).describe("10.20.0.0/16"), {
          rule: `self.matches('${NETWORK_FORM}')`,
          message: "no network: address/length, as 10.20.0.0/16",
        }),
      )
      .min(1)
      .max(20)
      .optional()
      .describe(
        "Where the servers of others are that engines and hooks name: pods that call them are let out to their " +
          "ports in these networks, and to those that are named by IP addresses. When left out, to those alone, and " +
          "for host names, which policies do not know, to their ports anywhere. Most network plugins judge what is " +
          "sent to a Service's ClusterIP by the pods behind it: for one that is named by that address, say here the " +
          "network of the pods, and use a Service whose port is the pods' own.",
      ),
    logLevel: z
      .enum(["trace", "debug", "info", "warn", "error"])
      .default("info")
      .describe("How much pods log."),
    limits: limitsSchema
      .optional()
      .describe(
        "Limits of every process that differ from the usual ones. Changed, they count within seconds, without a " +
          "restart; only the first time that there are any, pods are replaced.",
      ),
    replaceLogs: replaceAct
      .optional()
      .describe(
        "Gives one campus's queue logs a new disk: their volume is deleted and both are rebuilt from the others'. " +
          "For a volume that is lost, or a node that is gone for good; `tricampus queue rebuild` writes it. As " +
          "KVGroup.spec.replace, which with profile Dev does this, too.",
      ),
    paused: z
      .boolean()
      .default(false)
      .describe(
        "True: nothing is changed in the cluster. Blocks still end, and the status goes on.",
      ),
  }),
  {
    rule: "self.profile == 'Dev' || self.campuses.all(c, self.campuses.exists_one(o, o.zone == c.zone))",
    message:
      "campuses: three campuses need three different zones (profile Dev allows one zone, and " +
      "is not highly available)",
  },
  {
    rule: "self.profile != 'Dev' || !has(self.replaceLogs)",
    message: "replaceLogs: with profile Dev the logs are replaced with KVGroup.spec.replace",
  },
  {
    rule: "!has(self.replaceLogs) || self.campuses.exists(c, c.name == self.replaceLogs.campus)",
    message: "replaceLogs: its campus is none of campuses",
  },
  {
    rule: "self.profile == oldSelf.profile",
    message: "profile cannot be changed: make a new DataCenter",
  },
  {
    rule: `self.layout == 'Split' || self.services.all(s, s.name in ${COMPACT_LIST})`,
    message: `services: with layout Compact there are ${COMPACT.join(", ")}`,
  },
  {
    rule: "self.layout == 'Compact' || self.services.all(s, s.name != 'logic')",
    message: "services: with layout Split, name each service instead of logic",
  },
);

const campusAddress = listByKey(
  z.array(z.strictObject({ campus: campusName, address: z.string() })),
  "campus",
);

const status = z.strictObject({
  observedGeneration: observedGeneration.optional(),
  campuses: z.string().optional().describe("All three in one line, like a=ok b=blocked c=ok."),
  pods: z.string().optional().describe("Pods that are ready, of those wanted."),
  image: z.string().optional().describe("The image that all pods have, or are getting."),
  bootstrap: z
    .enum(["Permitted", "Done", "Adopted"])
    .optional()
    .describe("Of the queue's logs, as of a KVGroup's replicas."),
  made: z
    .array(campusName)
    .max(3)
    .optional()
    .describe(
      "While bootstrap is Permitted: campuses whose logs have been ready once, so that an empty volume there may " +
        "not vote any more.",
    ),
  replacedLogs: replacedStatus
    .optional()
    .describe("How far the last act of spec.replaceLogs has come."),
  clients: campusAddress.optional().describe("Where clients connect."),
  admin: campusAddress.optional().describe("Where `tricampus` connects."),
  conditions: conditions.optional(),
});

export const dataCenterSchema = z.strictObject({
  spec: spec.describe("What is wanted."),
  status: status.optional().describe("What is."),
});

export type DataCenterSpec = z.output<typeof spec>;
export type DataCenterStatus = z.output<typeof status>;
