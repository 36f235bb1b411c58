/**
 * The client protocol's methods: which service answers each, and the schemas of its JSON form. This
 * table is all that access knows of them.
 */
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { Account } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import { Account as AccountDesc } from "../../protos/gen/tricampus/client/v1/account_pb.ts";
import { Admin } from "../../protos/gen/tricampus/client/v1/admin_codec.ts";
import { Admin as AdminDesc } from "../../protos/gen/tricampus/client/v1/admin_pb.ts";
import { Contact } from "../../protos/gen/tricampus/client/v1/contact_codec.ts";
import { Contact as ContactDesc } from "../../protos/gen/tricampus/client/v1/contact_pb.ts";
import { Conversation } from "../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import { Conversation as ConversationDesc } from "../../protos/gen/tricampus/client/v1/conversation_pb.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Group as GroupDesc } from "../../protos/gen/tricampus/client/v1/group_pb.ts";
import { Media } from "../../protos/gen/tricampus/client/v1/media_codec.ts";
import { Media as MediaDesc } from "../../protos/gen/tricampus/client/v1/media_pb.ts";
import { Moments } from "../../protos/gen/tricampus/client/v1/moments_codec.ts";
import { Moments as MomentsDesc } from "../../protos/gen/tricampus/client/v1/moments_pb.ts";
import { Session } from "../../protos/gen/tricampus/client/v1/session_codec.ts";
import { Session as SessionDesc } from "../../protos/gen/tricampus/client/v1/session_pb.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Sync as SyncDesc } from "../../protos/gen/tricampus/client/v1/sync_pb.ts";
import { Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { Text as TextDesc } from "../../protos/gen/tricampus/client/v1/text_pb.ts";
import type { BusinessClass } from "../svrkit/admission/priority.ts";

export interface ClientMethod {
  /** "Text/Send" */
  readonly name: string;
  /** The service that serves it. */
  readonly service: string;
  /** svrkit's hash of the method. */
  readonly hash: number;
  readonly needsTicket: boolean;
  /** For servers of integrators: a key stands where users have their ticket. */
  readonly needsApiKey: boolean;
  /**
   * What matters more when not all can be served. Bound to the request here, at the entry, and carried
   * through everything that it causes.
   */
  readonly businessClass: BusinessClass;
  readonly request: DescMessage;
  readonly response: DescMessage;
}

interface ClientService {
  readonly service: string;
  readonly codecs: Readonly<Record<string, { readonly name: string; readonly hash: number }>>;
  readonly schemas: DescService;
  /** Of its methods but the open ones, which are logins. */
  readonly businessClass: BusinessClass;
  /** Methods for who has no ticket yet. */
  readonly open?: readonly string[];
  readonly needsApiKey?: true;
}

/** Of methods that access answers itself. */
export const OWN_SERVICE = "access";

const SERVICES: readonly ClientService[] = [
  {
    service: "account",
    codecs: Account,
    schemas: AccountDesc,
    businessClass: "lookup",
    open: ["register", "login", "loginWithToken"],
  },
  {
    service: "account",
    codecs: Admin,
    schemas: AdminDesc,
    businessClass: "group",
    needsApiKey: true,
  },
  { service: "text", codecs: Text, schemas: TextDesc, businessClass: "message" },
  { service: "group", codecs: Group, schemas: GroupDesc, businessClass: "group" },
  { service: "media", codecs: Media, schemas: MediaDesc, businessClass: "media" },
  { service: "moments", codecs: Moments, schemas: MomentsDesc, businessClass: "moments" },
  { service: "contact", codecs: Contact, schemas: ContactDesc, businessClass: "group" },
  {
    service: "conversation",
    codecs: Conversation,
    schemas: ConversationDesc,
    businessClass: "group",
  },
  {
    service: OWN_SERVICE,
    codecs: Session,
    schemas: SessionDesc,
    businessClass: "lookup",
    open: ["open", "endpoints"],
  },
  { service: "sync", codecs: Sync, schemas: SyncDesc, businessClass: "sync" },
];

export const SYNC_HASH = Sync.sync.hash;

export const CLIENT_METHODS: ReadonlyMap<string, ClientMethod> = new Map(
  SERVICES.flatMap(methodsOf).map((method) => [method.name, method]),
);

const CLIENT_SERVICES = new Set([...CLIENT_METHODS.keys()].map(serviceNameOf));

/** "Text/Send" is of the service "Text". */
function serviceNameOf(methodName: string): string {
  return methodName.slice(0, methodName.indexOf("/"));
}

/** How urgent a method's requests are; `classes`: what is told of methods and services. */
export function classOf(
  { name, businessClass }: Pick<ClientMethod, "name" | "businessClass">,
  classes: Readonly<Record<string, BusinessClass>>,
): BusinessClass {
  return classes[name] ?? classes[serviceNameOf(name)] ?? businessClass;
}

/** Whether clients know a method, or a service, of that name. */
export function isClientMethod(name: string): boolean {
  return CLIENT_METHODS.has(name) || CLIENT_SERVICES.has(name);
}

function methodsOf(described: ClientService): ClientMethod[] {
  const { service, codecs, schemas, open = [], needsApiKey = false } = described;
  return Object.entries(codecs).map(([localName, { name, hash }]) => {
    const schema = schemas.method[localName]!;
    const isOpen = open.includes(localName);
    const businessClass = isOpen ? "login" : described.businessClass;
    return {
      // "tricampus.client.v1.Text/Send" is "Text/Send" to clients.
      name: name.slice(name.lastIndexOf(".") + 1),
      ...{ service, hash, needsTicket: !isOpen && !needsApiKey, needsApiKey, businessClass },
      ...{ request: schema.input, response: schema.output },
    };
  });
}
