/** What queue, router and media are kept in: files of our own, or servers beside the pods or of somebody else. */
import { z } from "zod";
import {
  campusName,
  immutable,
  listByKey,
  quantity,
  resources,
  volumeRules,
  withRules,
} from "./schema.ts";

const storage = withRules(
  z.strictObject({
    className: z
      .string()
      .optional()
      .describe("The StorageClass; the cluster's default when left out. It cannot be changed."),
    size: quantity
      .default("10Gi")
      .describe("How large each volume is. It can grow and never shrinks."),
  }),
  ...volumeRules("make a new DataCenter for another one"),
);

const volume = (of: string) => storage.prefault({}).describe(`The volume of each campus's ${of}.`);

export const secretName = z
  .string()
  .min(1)
  .max(253)
  .describe(
    "A Secret in this namespace; it is mounted into the pods that need it, and nobody else reads it.",
  );

/** NATS or Redis: beside the pods that need it, or somebody else's. */
const serverOf = (what: string, image: string, scheme: string) =>
  withRules(
    z.strictObject({
      image: z
        .string()
        .min(1)
        .default(image)
        .describe(`The image of the ${what} that runs beside each campus's pods.`),
      resources: resources.optional(),
      external: listByKey(
        z
          .array(
            z.strictObject({
              campus: campusName,
              url: z
                .string()
                .regex(new RegExp(`^(${scheme})://[^\\s/@]+:[0-9]+$`), "is no scheme://host:port")
                .describe(
                  `Where this campus's ${what} is: ${scheme.replace("|", " or ")}://host:port.`,
                ),
            }),
          )
          .max(3)
          .optional()
          .describe(
            `One ${what} a campus that somebody else runs, each on its own; then none is started.`,
          ),
        "campus",
      ),
      secretName: secretName
        .optional()
        .describe(
          `With external: a Secret with any of username, password, token, ca.crt, tls.crt, tls.key for the ${what}.`,
        ),
    }),
    {
      rule: "!has(self.external) || self.external.size() == 3",
      message: "external: name one server for each of the three campuses",
    },
  );

export const queueEngine = z.strictObject({
  kind: withRules(
    z
      .enum(["Embedded", "Nats"])
      .default("Embedded")
      .describe("Embedded: the logs' own files. Nats: a JetStream server a campus keeps them."),
    immutable("kind"),
  ),
  storage: volume("two logs"),
  nats: serverOf("NATS", "nats:2.14-alpine", "nats|tls")
    .prefault({})
    .describe("With kind Nats: the servers."),
});

export const routerEngine = z.strictObject({
  kind: z
    .enum(["Embedded", "Redis"])
    .default("Embedded")
    .describe("Embedded: the router's memory. Redis: one a campus, in memory alone."),
  redis: serverOf("Redis", "redis:7", "redis|rediss")
    .prefault({})
    .describe("With kind Redis: the servers."),
});

export const mediaEngine = withRules(
  z.strictObject({
    kind: withRules(
      z
        .enum(["Files", "S3"])
        .default("Files")
        .describe("Files: a copy in each campus. S3: one bucket that all campuses share."),
      immutable("kind"),
    ),
    storage: volume("copy of all files, images and videos"),
    s3: z
      .strictObject({
        endpoint: withRules(z.url().max(500).describe("https://host[:port], what speaks S3."), {
          rule: "!self.contains('@')",
          message:
            "no user and password in the address: the keys belong into the Secret secretName",
        }),
        bucket: z.string().min(3).max(63).describe("The bucket; it is there already."),
        region: z.string().min(1).default("us-east-1"),
        secretName: secretName.describe(
          "A Secret whose key credentials.json holds {accessKeyId, secretAccessKey}.",
        ),
      })
      .optional()
      .describe("With kind S3: where the bucket is."),
  }),
  {
    rule: "!has(self.kind) || self.kind == 'Files' || has(self.s3)",
    message: "kind S3 needs s3: endpoint, bucket and secretName",
  },
);
