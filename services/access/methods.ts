/**
 * The client protocol's methods: which service answers each, and the schemas of its JSON form. This
 * table is all that access knows of them.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { Account } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  FindReplySchema,
  FindRequestSchema,
  LoginReplySchema,
  LoginRequestSchema,
  RegisterRequestSchema,
} from "../../protos/gen/tricampus/client/v1/account_pb.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import {
  CreateGroupReplySchema,
  CreateGroupRequestSchema,
  JoinGroupReplySchema,
  JoinGroupRequestSchema,
  LeaveGroupReplySchema,
  LeaveGroupRequestSchema,
  ListMembersReplySchema,
  ListMembersRequestSchema,
} from "../../protos/gen/tricampus/client/v1/group_pb.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  SyncReplySchema,
  SyncRequestSchema,
} from "../../protos/gen/tricampus/client/v1/sync_pb.ts";
import { Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  SendReplySchema,
  SendRequestSchema,
} from "../../protos/gen/tricampus/client/v1/text_pb.ts";

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

const METHODS: readonly ClientMethod[] = [
  open("account", Account.register, RegisterRequestSchema, LoginReplySchema),
  open("account", Account.login, LoginRequestSchema, LoginReplySchema),
  withTicket("account", Account.find, FindRequestSchema, FindReplySchema),
  withTicket("text", Text.send, SendRequestSchema, SendReplySchema),
  withTicket("group", Group.create, CreateGroupRequestSchema, CreateGroupReplySchema),
  withTicket("group", Group.join, JoinGroupRequestSchema, JoinGroupReplySchema),
  withTicket("group", Group.leave, LeaveGroupRequestSchema, LeaveGroupReplySchema),
  withTicket("group", Group.listMembers, ListMembersRequestSchema, ListMembersReplySchema),
  withTicket("sync", Sync.sync, SyncRequestSchema, SyncReplySchema),
];

export const SYNC_HASH = Sync.sync.hash;

export const CLIENT_METHODS: ReadonlyMap<string, ClientMethod> = new Map(
  METHODS.map((method) => [method.name, method]),
);

interface Named {
  readonly name: string;
  readonly hash: number;
}

function withTicket(
  service: string,
  method: Named,
  request: DescMessage,
  response: DescMessage,
): ClientMethod {
  // "tricampus.client.v1.Text/Send" is "Text/Send" to clients.
  const name = method.name.slice(method.name.lastIndexOf(".") + 1);
  return { name, service, hash: method.hash, needsTicket: true, request, response };
}

function open(
  service: string,
  method: Named,
  request: DescMessage,
  response: DescMessage,
): ClientMethod {
  return { ...withTicket(service, method, request, response), needsTicket: false };
}
