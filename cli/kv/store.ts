/**
 * The store as the operator of this machine reaches it: through its own client, at the replicas'
 * loopback ports, with failover. Who may read the data folder may do this; users' data has another
 * door, which checks tickets (services/data).
 */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { SlotsClient } from "../../services/control/slots-client.ts";
import { KvClient } from "../../services/kvsvr/client.ts";
import { ReplicasClient } from "../../services/kvsvr/replicas-client.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS, type ServiceName } from "../../services/platform/services.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import type { Shards } from "../../services/svrkit/failover/shards.ts";
import type { CommandCall } from "../command.ts";
import { reach, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Reach } from "../reach.ts";
import { type Notation, parseBytes, showBytes } from "./bytes.ts";
import { groupsThatHold, readShards } from "./groups.ts";

const KEYSPACES: ReadonlyMap<string, number> = new Map(
  Object.entries(Keyspace)
    .filter(([, number]) => number !== Keyspace.UNSPECIFIED)
    .map(([name, number]) => [name.toLowerCase(), number]),
);

export const KEYSPACE_NAMES = [...KEYSPACES.keys()].join(", ");

export function keyspaceName(number: number): string {
  const found = [...KEYSPACES].find(([, other]) => other === number);
  return found?.[0] ?? `keyspace-${number}`;
}

export function notationOf(call: CommandCall): Notation {
  return call.options.hex === true ? "hex" : "text";
}

export const KEYSPACE_NUMBERS = [...KEYSPACES.values()];

export function keyspaceOf(name: string): number {
  const number = KEYSPACES.get(name);
  if (number !== undefined) return number;
  throw new Failure(EXIT.usage, `there is no keyspace "${name}": there are ${KEYSPACE_NAMES}`);
}

/** The key that the first two arguments name. */
export function keyOf(call: CommandCall): Key {
  const [keyspace = "", key = ""] = call.arguments;
  const number = keyspaceOf(keyspace);
  return { keyspace: number, key: parseBytes(key, notationOf(call), "the key") };
}

/** account/"name/ann" as people write it: account/name/ann. */
export function describeKey(key: Key, notation: Notation): string {
  return `${keyspaceName(key.keyspace)}/${showBytes(key.key, notation)}`;
}

interface OperatorGroup {
  readonly group: number;
  /** Its three replicas one by one. */
  readonly replicas: ReplicasClient;
}

export interface OperatorParts {
  /** The platform of this machine; in a cluster there is none. */
  readonly platform: Platform | undefined;
  readonly inspector: Reach;
  readonly store: KvClient;
  /** Those that hold data, in the order of their numbers; one without slots may have come just now, or be gone. */
  readonly groups: readonly OperatorGroup[];
  readonly shards: Shards;
  readonly slots: SlotsClient;
}

/** The platform of this machine, for what only its supervisors can do. */
export function requireHere({ platform }: OperatorParts, instead: string): Platform {
  if (platform !== undefined) return platform;
  throw new Failure(EXIT.usage, `this is for a platform on one machine: ${instead}`);
}

/** Runs `work` with clients of the running platform's store. */
export async function withReplicas<T>(
  call: CommandCall,
  work: (parts: OperatorParts) => Promise<T>,
): Promise<T> {
  const isHere = call.context === undefined;
  const platform = isHere ? await requireRunning(call.dataDir) : undefined;
  const inspector = await reach(call);
  try {
    const slots = new SlotsClient(inspector.callee("kvsvr"));
    const shards = await readShards(inspector);
    const follow = async () => {
      const known = await slots.shards();
      shards.set(known.shards, known.move);
    };
    shards.refresh = () => follow().catch(() => {}); // what was known stays
    const callee = (service: string) => inspector.callee(service as ServiceName);
    const groups = groupsThatHold(inspector.kvGroups, shards).map((group) => {
      const service = KV_GROUPS[group - 1]!;
      return { group, replicas: new ReplicasClient(inspector.callee(service)) };
    });
    const store = KvClient.of({ shards, callee });
    return await work({ platform, inspector, store, groups, shards, slots });
  } catch (error) {
    throw asFailure(error);
  } finally {
    inspector.stop();
  }
}

export function withStore<T>(call: CommandCall, work: (store: KvClient) => Promise<T>): Promise<T> {
  return withReplicas(call, ({ store }) => work(store));
}

const ADVICE: Readonly<Record<string, string>> = {
  UNAVAILABLE: "see `tricampus status`",
  NO_QUORUM: "see `tricampus status`",
  DEADLINE_EXCEEDED: "see `tricampus status`; a write may have happened: read, then decide",
  FAILED_PRECONDITION: "a table is read with `tricampus kv scan`, a value with `tricampus kv get`",
};
const UNREACHABLE = ["UNAVAILABLE", "NO_QUORUM", "DEADLINE_EXCEEDED"];

function asFailure(error: unknown): unknown {
  if (!(error instanceof RpcError)) return error;
  const { code, message } = error;
  const advice = ADVICE[code];
  const exitCode = UNREACHABLE.includes(code) ? EXIT.unreachable : EXIT.failed;
  return new Failure(exitCode, `${message} (${code})${advice === undefined ? "" : `: ${advice}`}`);
}
