/**
 * Who usually calls what: the services that may call each method, so that a process that was taken over can
 * do what its services do and no more. A method that is not named here cannot be served. Names: protos/,
 * without "tricampus." and version.
 *
 * What is told of callers beside it (`callers` of the limits file and of a DataCenter) takes callers away,
 * as those of a service that was taken over, and never adds one: who can write the file gets nobody in.
 *
 * Upgrades go campus by campus: a service that the next version brings calls what this version serves, so
 * what it may call is said here one version before. Pure.
 */
import { Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { Account } from "../../protos/gen/tricampus/client/v1/account_codec.ts";
import { Admin } from "../../protos/gen/tricampus/client/v1/admin_codec.ts";
import { Contact } from "../../protos/gen/tricampus/client/v1/contact_codec.ts";
import { Conversation } from "../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import { Group } from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import { Media } from "../../protos/gen/tricampus/client/v1/media_codec.ts";
import { Moments } from "../../protos/gen/tricampus/client/v1/moments_codec.ts";
import { Session } from "../../protos/gen/tricampus/client/v1/session_codec.ts";
import { Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { MomentsData } from "../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { Kv } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Centre } from "../../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import { Log } from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { Process } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { isService, KV_GROUPS, QUEUE_LOGS } from "./services.ts";

/** People who run the platform, by the command line, and the operator in Kubernetes. */
const OPERATORS = ["cli", "operator"];
const DATA = [
  ...["account-data", "inbox-data", "message-data", "group-data"],
  ...["contact-data", "media-data", "moments-data", "admin-data"],
];
/** What keeps its state in the store, and every process's followers of what all must know. */
const STORE = [...DATA, "queue", "control", ...KV_GROUPS, ...OPERATORS];
/** Who tells devices that there is something new. */
const NOTIFIERS = ["text", "fanout", "conversation", "account", "contact", "moments"];
const LOGS: readonly string[] = QUEUE_LOGS;

/** By method, or by service for all its methods. */
export const USUAL_CALLERS: Readonly<Record<string, readonly string[]>> = {
  "svrkit.Process": OPERATORS,
  "monitor.Centre": ["agent"],

  "client.Account": ["access"],
  "client.Admin": ["access"],
  "client.Contact": ["access"],
  "client.Conversation": ["access"],
  "client.Group": ["access"],
  "client.Media": ["access"],
  "client.Moments": ["access"],
  "client.Session": ["access"],
  "client.Sync": ["access"],
  "client.Text": ["access"],
  "client.Text/Send": ["access", "group"],
  "access.Push": NOTIFIERS,
  "router.Router/Register": ["access"],
  "router.Router/Lookup": [...NOTIFIERS, "hooks"],
  "router.Router/Count": OPERATORS,
  "logic.Finishing/Finish": ["sync"],
  "logic.Finishing/Witness": ["text"],
  "logic.Reaching/May": ["text", "group"],
  "logic.Reaching/Forget": ["contact", "account"],
  "logic.Reaching/Finish": ["sync"],

  "data.AccountData/ClaimName": ["account"],
  "data.AccountData/GetByName": ["account", "text"],
  "data.AccountData/GetBySubject": ["account"],
  "data.AccountData/Identity": ["account"],
  "data.AccountData/Replace": ["account"],
  "data.AccountData/LogIn": ["account"],
  "data.AccountData/LogOut": ["account"],
  "data.AccountData/Set": ["account"],
  "data.AccountData/Profiles": ["account"],
  "data.AccountData/Changes": ["sync"],
  "data.AccountData/Facts": ["account", "contact", "conversation"],
  "data.AccountData/ConfirmDevices": ["sync"],
  "data.AccountData/Confirmations": ["retention"],
  "data.AccountData/AppendAudit": ["account"],
  "data.AccountData/ReadAudit": ["account"],
  "data.AccountData/Gone": ["hooks"],
  "data.AccountData/RetainRevocations": ["retention"],
  "data.AccountData/BeginErasing": ["account"],
  "data.AccountData/Erasing": ["account"],
  "data.AccountData/MarkGone": ["account"],
  "data.AccountData/Erase": ["account"],
  "data.ContactData/Change": ["contact"],
  "data.ContactData/Own": ["contact"],
  "data.ContactData/DeliverRequest": ["contact"],
  "data.ContactData/DeliverAnswer": ["contact"],
  "data.ContactData/Changes": ["sync", "moments", "moments-data"],
  "data.ContactData/Reach": ["contact", "moments-data"],
  "data.ContactData/Erase": ["account"],
  "data.GroupData/Create": ["group"],
  "data.GroupData/Membership": ["group", "text", "media-data"],
  "data.GroupData/Read": ["group", "fanout", "conversation", "hooks"],
  "data.GroupData/EntryOutcomes": ["group", "sync", "fanout"],
  "data.GroupData/Apply": ["fanout"],
  "data.GroupData/Messages": ["fanout", "text", "conversation"],
  "data.GroupData/MarkRead": ["conversation"],
  "data.GroupData/ReadPositions": ["conversation"],
  "data.GroupData/Retain": ["retention"],
  "data.GroupData/Erase": ["account"],
  "data.InboxData/Commit": ["text"],
  "data.InboxData/Committed": ["text"],
  "data.InboxData/Deliver": ["text", "fanout"],
  "data.InboxData/DeliverRead": ["conversation"],
  "data.InboxData/Set": ["conversation"],
  "data.InboxData/Changes": ["sync"],
  "data.InboxData/View": ["group-data", "conversation"],
  "data.InboxData/Muted": ["hooks"],
  "data.InboxData/Retain": ["retention"],
  "data.InboxData/Traces": ["account"],
  "data.InboxData/Erase": ["account"],
  "data.MediaData/Begin": ["media"],
  "data.MediaData/Facts": ["media", "moments"],
  "data.MediaData/PutPart": ["media"],
  "data.MediaData/Missing": ["media"],
  "data.MediaData/GetPart": ["media"],
  "data.MediaData/Finish": ["media"],
  "data.MediaData/Share": ["media"],
  "data.MediaData/Seal": ["media", "moments"],
  "data.MediaData/Keep": ["moments"],
  "data.MediaData/Fetch": ["access"],
  "data.MediaData/Remove": ["media"],
  "data.MediaData/Retain": ["retention"],
  "data.MediaData/Erase": ["account"],
  "data.MediaData/StoreHere": ["media-data"],
  "data.MediaData/LoadHere": ["media-data"],
  "data.MediaData/HaveHere": ["media-data"],
  "data.MediaData/DropHere": ["media-data"],
  "data.MediaData/ListHere": ["media-data"],
  "data.MessageData/Append": ["text"],
  "data.MessageData/Read": ["text", "conversation"],
  "data.MessageData/Sequences": ["sync"],
  "data.MessageData/Retain": ["retention"],
  "data.MessageData/Erase": ["account"],

  "data.MomentsData": ["moments"],
  "data.MomentsData/Retain": ["retention"],
  "data.MomentsData/Erase": ["account"],

  "kv.Kv": STORE,
  "kv.Replica": KV_GROUPS,
  "kv.Replica/QueryVersions": [...KV_GROUPS, ...OPERATORS],
  "kv.Replica/Fetch": [...KV_GROUPS, ...OPERATORS],
  "kv.Replica/ListVersions": [...KV_GROUPS, "retention", ...OPERATORS],
  "kv.Replica/Floors": [...KV_GROUPS, ...OPERATORS],

  "queue.Log": ["queue"],
  "queue.Log/Fence": ["queue", ...LOGS],
  "queue.Log/Read": ["queue", ...LOGS],
  "queue.Log/Introduce": LOGS,
  "queue.Log/Admit": LOGS,
  "queue.Log/ListStandings": LOGS,
  "queue.Queue/Append": ["text", "group", "account", "fanout", "queue", "cli"],
  "queue.Queue/Poll": ["fanout", "hooks"],
  "queue.Queue/Consumed": ["fanout", "hooks"],
  "queue.Queue/Bury": ["fanout", "hooks"],
  "queue.Queue/Letters": ["hooks", "account"],
  "queue.Queue/ForgetLetters": ["hooks", "account"],
  "queue.Queue/Adopt": ["queue"],
};

/** What may be told beside the table: callers by method or service. */
export type ToldCallers = Readonly<Record<string, readonly string[]>>;

/** Those of which the table names the service, and not every method. */
const SERVICES = [
  ...[Account, Admin, Contact, Conversation, Group, Media, Moments, Session, Sync, Text],
  ...[Push, MomentsData, Kv, Replica, Centre, Log, Process],
];
const METHODS: ReadonlySet<string> = new Set([
  ...Object.keys(USUAL_CALLERS).filter((name) => name.includes("/")),
  ...SERVICES.flatMap((methods) => Object.values(methods).map(({ name }) => shortName(name))),
]);

/** Services whose replicas call each other, with the names under which they do: without them they stop. */
const PEERS: Readonly<Record<string, readonly string[]>> = {
  "kv.Kv": KV_GROUPS,
  "kv.Replica": KV_GROUPS,
  "queue.Log": LOGS,
  "queue.Queue": ["queue"],
  "data.MediaData": ["media-data"],
};

const TABLE_NAMES: ReadonlySet<string> = new Set(Object.values(USUAL_CALLERS).flat());

/** "tricampus.kv.v1.Kv/Get" is "kv.Kv/Get"; "" for what is no method of this platform. */
export function shortName(method: string): string {
  const [, area, name] = /^tricampus\.(\w+)\.v\d+\.(\w+\/\w+)$/.exec(method) ?? [];
  return name === undefined ? "" : `${area}.${name}`;
}

function serviceOf(name: string): string {
  return name.split("/", 1)[0]!;
}

/** Of a method, or of any method of a service; undefined when there is none of that name. */
export function usualCallers(name: string): readonly string[] | undefined {
  if (METHODS.has(name)) return USUAL_CALLERS[name] ?? USUAL_CALLERS[serviceOf(name)];
  const methods = [...METHODS].filter((method) => serviceOf(method) === name);
  if (methods.length === 0) return undefined;
  return [...new Set(methods.flatMap((method) => usualCallers(method)!))];
}

/** The usual callers of a method ("kv.Kv/Get"), but those left out where it, or else its service, is told of. */
export function remainingCallers(method: string, told: ToldCallers): readonly string[] | undefined {
  const left = told[method] ?? told[serviceOf(method)];
  const usual = usualCallers(method);
  return left === undefined ? usual : usual?.filter((caller) => left.includes(caller));
}

/** Throws an error that names what cannot be meant, what would let somebody in, and what stops a service. */
export function checkCallers(told: ToldCallers): void {
  for (const [name, callers] of Object.entries(told)) {
    const usual = usualCallers(name);
    if (usual === undefined)
      throw new Error(`"${name}" is no method or service of the table of callers`);
    const unknown = callers.find((caller) => !isService(caller) && !TABLE_NAMES.has(caller));
    if (unknown !== undefined) throw new Error(`${name}: there is no service "${unknown}"`);
    const unusual = callers.find((caller) => !usual.includes(caller));
    if (unusual !== undefined)
      throw new Error(
        `${name}: "${unusual}" is none of its usual callers (${usual.join(", ")}): a list adds no callers`,
      );
    const peers = PEERS[serviceOf(name)] ?? [];
    const missing = peers.find((peer) => usual.includes(peer) && !callers.includes(peer));
    if (missing !== undefined)
      throw new Error(`${name}: "${missing}" must stay: its replicas call each other`);
  }
}

/** By name: the usual callers that are left out of what is told of it. */
export function callersTakenAway(told: ToldCallers): Record<string, string[]> {
  const taken = Object.entries(told).map(([name, callers]): [string, string[]] => [
    name,
    usualCallers(name)!.filter((caller) => !callers.includes(caller)),
  ]);
  return Object.fromEntries(taken.filter(([, callers]) => callers.length > 0));
}
