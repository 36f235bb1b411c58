/**
 * The client protocol's methods: which service answers each, and the schemas of its JSON form. This
 * table is all that access knows of them.
 */
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { Account } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import { Account as AccountDesc } from "../../protos/gen/tricampus/client/v1/account_pb.ts";
import { Conversation } from "../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import { Conversation as ConversationDesc } from "../../protos/gen/tricampus/client/v1/conversation_pb.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Group as GroupDesc } from "../../protos/gen/tricampus/client/v1/group_pb.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Sync as SyncDesc } from "../../protos/gen/tricampus/client/v1/sync_pb.ts";
import { Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { Text as TextDesc } from "../../protos/gen/tricampus/client/v1/text_pb.ts";

export interface ClientMethod {
  /** "Text/Send" */
  readonly name: string;
  /** The service that serves it. */
  readonly service: string;
  /** svrkit's hash of the method. */
  readonly hash: number;
  readonly needsTicket: boolean;
  readonly request: DescMessage;
  readonly response: DescMessage;
}

interface ClientService {
  readonly service: string;
  readonly codecs: Readonly<Record<string, { readonly name: string; readonly hash: number }>>;
  readonly schemas: DescService;
  /** Methods for who has no ticket yet. */
  readonly open?: readonly string[];
}

const SERVICES: readonly ClientService[] = [
  { service: "account", codecs: Account, schemas: AccountDesc, open: ["register", "login"] },
  { service: "text", codecs: Text, schemas: TextDesc },
  { service: "group", codecs: Group, schemas: GroupDesc },
  { service: "conversation", codecs: Conversation, schemas: ConversationDesc },
  { service: "sync", codecs: Sync, schemas: SyncDesc },
];

export const SYNC_HASH = Sync.sync.hash;

export const CLIENT_METHODS: ReadonlyMap<string, ClientMethod> = new Map(
  SERVICES.flatMap(methodsOf).map((method) => [method.name, method]),
);

function methodsOf({ service, codecs, schemas, open = [] }: ClientService): ClientMethod[] {
  return Object.entries(codecs).map(([localName, { name, hash }]) => {
    const schema = schemas.method[localName]!;
    return {
      // "tricampus.client.v1.Text/Send" is "Text/Send" to clients.
      name: name.slice(name.lastIndexOf(".") + 1),
      ...{ service, hash, needsTicket: !open.includes(localName) },
      ...{ request: schema.input, response: schema.output },
    };
  });
}
