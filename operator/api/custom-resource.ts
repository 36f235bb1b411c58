/** From a zod schema to the CustomResourceDefinition that the API server checks objects by. Pure. */
import { z } from "zod";
import { campusSchema } from "./campus.ts";
import { dataCenterSchema } from "./data-center.ts";
import { kvGroupSchema } from "./kv-group.ts";
import { API_GROUP, API_VERSION } from "./schema.ts";

interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  /** 1: only with `-o wide`. */
  readonly priority?: 0 | 1;
}

export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly schema: z.ZodType;
  readonly columns: readonly PrinterColumn[];
}

const column = (name: string, jsonPath: string, type: PrinterColumn["type"] = "string") => {
  return { name, type, jsonPath };
};
const wide = (name: string, jsonPath: string): PrinterColumn => {
  return { name, type: "string", jsonPath, priority: 1 };
};
const conditionPath = (type: string, field = "status") =>
  `.status.conditions[?(@.type=="${type}")].${field}`;
const AGE = column("Age", ".metadata.creationTimestamp", "date");

export const KINDS: readonly Kind[] = [
  {
    kind: "DataCenter",
    plural: "datacenters",
    shortNames: ["dc"],
    description: "A messaging platform that goes on serving when one of its three zones is lost.",
    schema: dataCenterSchema,
    columns: [
      column("Id", ".spec.id", "integer"),
      column("Campuses", ".status.campuses"),
      column("Pods", ".status.pods"),
      column("Ready", conditionPath("Ready")),
      column("Reason", conditionPath("Ready", "reason")),
      wide("Image", ".status.image"),
      AGE,
    ],
  },
  {
    kind: "Campus",
    plural: "campuses",
    shortNames: ["cps"],
    description: "One zone of a DataCenter: blocked or not, until when, by whom, why.",
    schema: campusSchema,
    columns: [
      column("Data-Center", ".spec.dataCenter"),
      column("Zone", ".spec.zone"),
      column("State", ".status.state"),
      column("Pods", ".status.pods"),
      column("Blocked-Until", ".status.block.until"),
      wide("By", ".status.block.who"),
      wide("Why", ".status.block.reason"),
      AGE,
    ],
  },
  {
    kind: "KVGroup",
    plural: "kvgroups",
    shortNames: ["kvg"],
    description: "Three replicas of the quorum store, one a campus, that own a set of slots.",
    schema: kvGroupSchema,
    columns: [
      column("Data-Center", ".spec.dataCenter"),
      column("Number", ".spec.number", "integer"),
      column("Zones", ".status.zones"),
      column("Slots", ".status.slots", "integer"),
      column("Ready", conditionPath("Ready")),
      column("Reason", conditionPath("Ready", "reason")),
      wide("Size", ".spec.storage.size"),
      AGE,
    ],
  },
];

type JsonSchema = { [key: string]: unknown };

export function customResourceDefinition(kind: Kind): JsonSchema {
  const { plural, shortNames, columns } = kind;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular: kind.kind.toLowerCase(),
        shortNames: [...shortNames],
        categories: ["tricampus"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns.map((one) => ({ ...one })),
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}

function objectSchema({ description, schema }: Kind): JsonSchema {
  const { properties, ...rest } = structural(
    z.toJSONSchema(schema, {
      target: "openapi-3.0",
      io: "input",
      reused: "inline",
      unrepresentable: "any",
    }) as JsonSchema,
  );
  return {
    ...rest,
    description,
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      ...(properties as JsonSchema),
    },
  };
}

/** What structural schemas do not know or forbid is taken out or said in their way. */
function structural(schema: JsonSchema): JsonSchema {
  if (schema["x-kubernetes-int-or-string"] === true) {
    const { anyOf: _, type: __, ...kept } = schema;
    return kept;
  }
  const { additionalProperties, $schema: _, properties, items, ...kept } = schema;
  if (kept.type === "integer") {
    kept.format = "int64";
    if (kept.minimum === Number.MIN_SAFE_INTEGER) delete kept.minimum;
    if (kept.maximum === Number.MAX_SAFE_INTEGER) delete kept.maximum;
  }
  // The format says it better.
  if (kept.format === "date-time") delete kept.pattern;
  if (isSchema(items)) kept.items = structural(items);
  if (isSchema(properties)) {
    const entries = Object.entries(properties as Record<string, JsonSchema>);
    kept.properties = Object.fromEntries(
      entries.map(([name, property]) => [name, structural(property)]),
    );
  }
  if (kept["x-kubernetes-preserve-unknown-fields"] === true) return kept;
  if (isSchema(additionalProperties)) kept.additionalProperties = structural(additionalProperties);
  return kept;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null;
}
