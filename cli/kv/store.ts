/**
 * The store as the operator of this machine reaches it: through its own client, at the replicas'
 * loopback ports, with failover. Who may read the data folder may do this; users' data has another
 * door, which checks tickets (services/data).
 */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../../services/kvsvr/client.ts";
import { ReplicasClient } from "../../services/kvsvr/replicas-client.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { type CommandCall, textOption } from "../command.ts";
import { Inspector, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { type Notation, parseBytes, showBytes } from "./bytes.ts";

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

/** The key that the first two arguments name. */
export function keyOf(call: CommandCall): Key {
  const [keyspace = "", key = ""] = call.arguments;
  const number = KEYSPACES.get(keyspace);
  if (number === undefined) {
    throw new Failure(
      EXIT.usage,
      `there is no keyspace "${keyspace}": there are ${KEYSPACE_NAMES}`,
    );
  }
  return { keyspace: number, key: parseBytes(key, notationOf(call), "the key") };
}

/** account/"name/ann" as people write it: account/name/ann. */
export function describeKey(key: Key, notation: Notation): string {
  return `${keyspaceName(key.keyspace)}/${showBytes(key.key, notation)}`;
}

/** A whole number of 0 or more; undefined when the option was not given. */
export function numberOption(call: CommandCall, name: string): number | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Failure(EXIT.usage, `--${flag}: "${text}" is not a whole number of 0 or more`);
}

export interface OperatorParts {
  readonly platform: Platform;
  readonly store: KvClient;
  /** The three replicas one by one. */
  readonly replicas: ReplicasClient;
}

/** Runs `work` with clients of the running platform's store. */
export async function withReplicas<T>(
  call: CommandCall,
  work: (parts: OperatorParts) => Promise<T>,
): Promise<T> {
  const platform = await requireRunning(call.dataDir);
  const inspector = new Inspector(platform);
  try {
    const callee = inspector.callee("kvsvr");
    const replicas = new ReplicasClient(callee);
    return await work({ platform, store: new KvClient(callee), replicas });
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
