/**
 * Who may call what: the services that may call each method, so that a process that was taken over can
 * do what its services do and no more. svrkit checks it before a request is decoded, against the
 * identity that the caller's certificate proves; on plain connections, which are for one machine, callers
 * are believed. Whose data a call may touch is a second question, answered where the data is
 * (services/data/authority.ts).
 *
 * A method that is not named here cannot be served. Names: protos/, without "tricampus." and version.
 * The limits file may put other callers in the place of those of a name (`callers`), while processes run: to
 * shut out a service that was taken over, or to let one in whose new version calls more.
 *
 * Upgrades go campus by campus: a service that the next version brings calls what this version serves, so
 * what it may call is said here one version before.
 */
import { inForce } from "../svrkit/config/limits-in-force.ts";
import type { Callers } from "../svrkit/server.ts";
import { isService, KV_GROUPS } from "./services.ts";

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
const LOGS = ["queuelog-1", "queuelog-2"];

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

/** Identities that are no service's. */
const NOT_SERVICES = [...OPERATORS, "control", "agent"];

type Table = ReadonlyMap<string, ReadonlySet<string>>;

/** What counts now, and the limits that it was made of. */
let table: { readonly sets: Table; readonly told: typeof inForce.callers } | undefined;

function setsNow(): Table {
  const { callers: told } = inForce;
  if (table?.told !== told) {
    const entries = Object.entries({ ...USUAL_CALLERS, ...told });
    table = { told, sets: new Map(entries.map(([name, callers]) => [name, new Set(callers)])) };
  }
  return table!.sets;
}

/** Throws an error that names what cannot be meant: nobody would notice that it changes nothing. */
export function checkCallers(told: Readonly<Record<string, readonly string[]>>): void {
  for (const [name, callers] of Object.entries(told)) {
    if (USUAL_CALLERS[name] === undefined)
      throw new Error(`"${name}" is no method or service of the table of callers`);
    const unknown = callers.find((caller) => !isService(caller) && !NOT_SERVICES.includes(caller));
    if (unknown !== undefined) throw new Error(`${name}: there is no service "${unknown}"`);
  }
}

/** Those of one method, as the table says at each call. */
class MethodCallers implements Callers {
  readonly #name: string;
  readonly #service: string;
  #seen: Table | undefined;
  #now: ReadonlySet<string> = new Set();

  constructor(name: string, service: string) {
    this.#name = name;
    this.#service = service;
  }

  has(caller: string): boolean {
    const sets = setsNow();
    if (sets !== this.#seen) {
      this.#seen = sets;
      this.#now = sets.get(this.#name) ?? sets.get(this.#service)!;
    }
    return this.#now.has(caller);
  }
}

/** `method`: "tricampus.kv.v1.Kv/Get"; undefined when nothing is said of it. */
export function allowedCallers(method: string): Callers | undefined {
  const [, area, service, name] = /^tricampus\.(\w+)\.v\d+\.(\w+)\/(\w+)$/.exec(method) ?? [];
  const ofService = `${area}.${service}`;
  const own = `${ofService}/${name}`;
  const isNamed = USUAL_CALLERS[own] !== undefined || USUAL_CALLERS[ofService] !== undefined;
  return isNamed ? new MethodCallers(own, ofService) : undefined;
}
