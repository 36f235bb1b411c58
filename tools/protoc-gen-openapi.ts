/**
 * Generates the OpenAPI document of the HTTP door (services/access/http.ts) from the client protocol:
 * JSON as protobuf's mapping has it, descriptions as the .proto files have them.
 */
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
} from "@bufbuild/protobuf";
import { createEcmaScriptPlugin, getComments, runNodeJs } from "@bufbuild/protoplugin";
import { codes } from "../services/svrkit/errors.ts";

const PACKAGE = "tricampus.client.v1";
/** Methods for who has no ticket yet: services/access/methods.ts, and a test that compares. */
const OPEN = new Set([
  ...["Account/Register", "Account/Login", "Account/LoginWithToken"],
  ...["Session/Open", "Session/Endpoints"],
]);
const FOR_API_KEYS = "Admin";

type Json = Record<string, unknown>;

const plugin = createEcmaScriptPlugin({
  name: "protoc-gen-openapi",
  version: "v1",
  generateTs(schema) {
    const services = schema.files
      .filter((file) => file.proto.package === PACKAGE)
      .flatMap((file) => file.services);
    const f = schema.generateFile("openapi.json");
    f.print(JSON.stringify(documentOf(services), null, 1));
  },
});

runNodeJs(plugin);

function documentOf(services: readonly DescService[]): Json {
  const schemas = new Map<string, Json>();
  const paths: Json = {};
  for (const service of [...services].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const method of service.methods) {
      const name = `${service.name}/${method.name}`;
      const needs = proofOf(service, name);
      paths[`/v1/${name}`] = { post: operationOf(method, { needs, schemas }) };
      if (needs !== "ticket") continue;
      const actsAs = operationOf(method, { needs: "apiKey", schemas });
      const parameters = [USER_PARAMETER];
      paths[`/v1/as/{user}/${name}`] = {
        post: { ...actsAs, parameters, operationId: `${service.name}_${method.name}_as` },
      };
    }
  }
  const sorted = Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    openapi: "3.1.0",
    info: {
      title: "Tricampus",
      version: "v1",
      description:
        "The client protocol over HTTP, and what servers of integrators do with API keys.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: { schemas: { ...sorted, Failure: FAILURE }, securitySchemes: SECURITY },
  };
}

const USER_PARAMETER = {
  ...{ name: "user", in: "path", required: true, schema: { type: "string" } },
  description: 'A user id, or "external:" and the integrator\'s own id for the user.',
};

const SECURITY = {
  ticket: {
    ...{ type: "http", scheme: "bearer" },
    description: "The ticket of a log-in, as base64url.",
  },
  apiKey: { type: "http", scheme: "bearer", description: "`tricampus api-key create` prints one." },
};

const FAILURE = {
  type: "object",
  required: ["code", "message", "retryable"],
  properties: {
    code: { type: "string", enum: Object.keys(codes) },
    message: { type: "string", description: "What happened, what it means and what to do." },
    retryable: {
      type: "boolean",
      description: "The same request may succeed later, or elsewhere.",
    },
  },
};

function proofOf(service: DescService, name: string): "ticket" | "apiKey" | "nothing" {
  if (service.name === FOR_API_KEYS) return "apiKey";
  return OPEN.has(name) ? "nothing" : "ticket";
}

function operationOf(
  method: DescMethod,
  { needs, schemas }: { needs: "ticket" | "apiKey" | "nothing"; schemas: Map<string, Json> },
): Json {
  const body = (message: DescMessage) => ({
    content: { "application/json": { schema: referenceTo(message, schemas) } },
  });
  return {
    operationId: `${method.parent.name}_${method.name}`,
    tags: [method.parent.name],
    ...described(method),
    security: needs === "nothing" ? [] : [{ [needs]: [] }],
    requestBody: { required: true, ...body(method.input) },
    responses: {
      "200": { description: "Done.", ...body(method.output) },
      default: {
        description: "Refused or failed: the status follows from the code.",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } },
      },
    },
  };
}

function referenceTo(message: DescMessage, schemas: Map<string, Json>): Json {
  const name = message.typeName.slice(PACKAGE.length + 1);
  if (!schemas.has(name)) {
    schemas.set(name, {}); // messages may hold themselves
    const properties = message.fields.map((field) => [field.jsonName, propertyOf(field, schemas)]);
    schemas.set(name, {
      type: "object",
      ...described(message),
      properties: Object.fromEntries(properties),
    });
  }
  return { $ref: `#/components/schemas/${name}` };
}

function propertyOf(field: DescField, schemas: Map<string, Json>): Json {
  const type = typeOf(field, schemas);
  const choice = field.oneof === undefined ? "" : ` One of "${field.oneof.name}".`;
  const { description = "" } = described(field) as { description?: string };
  const text = `${description}${choice}`.trim();
  const shape = field.fieldKind === "list" ? { type: "array", items: type } : type;
  return text === "" ? shape : { ...shape, description: text };
}

function typeOf(field: DescField, schemas: Map<string, Json>): Json {
  if (field.message !== undefined) return referenceTo(field.message, schemas);
  if (field.enum !== undefined) {
    return { type: "string", enum: field.enum.values.map((value) => value.name) };
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", format: "byte" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.UINT64:
    case ScalarType.INT64:
    case ScalarType.SINT64:
      return { type: "string", format: "int64" };
    default:
      return { type: "integer" };
  }
}

function described(desc: DescMessage | DescMethod | DescField): Json {
  const { leading = "" } = getComments(desc);
  const description = leading
    .trim()
    .split("\n")
    .map((line) => line.trim())
    .join(" ");
  return description === "" ? {} : { description };
}
