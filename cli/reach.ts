/**
 * What commands work on, wherever the platform runs: its campuses, its processes, and calls to any
 * service in any campus. On one machine through its ports (connect.ts), in a cluster through its admin
 * doors (cluster/reach.ts).
 */
import type { StatusReply } from "../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { ServiceName } from "../services/platform/services.ts";
import type { Callee } from "../services/svrkit/client.ts";
import type { Method } from "../services/svrkit/method.ts";

export interface ReachedProcess {
  /** "a/logic": what it is called here, and by `statuses`. */
  readonly name: string;
  readonly campus: string;
  readonly services: readonly string[];
}

/** One of perhaps several that are the same process in a campus, over a connection of its own. */
export interface ReachedPod extends ReachedProcess {
  /** undefined: it does not answer, or not in that time. */
  ask(timeoutMs: number): Promise<StatusReply | undefined>;
  stop(): void;
}

export interface Reach {
  /** The data centre's number. */
  readonly dc: number;
  readonly campuses: readonly string[];
  /** Their numbers, in order. In a cluster there may be gaps: any group but the first can go. */
  readonly kvGroups: readonly number[];
  /** Those that should be there. */
  readonly processes: readonly ReachedProcess[];
  /** Every one of them, each to be stopped by who asks. */
  pods(): Promise<readonly ReachedPod[]>;
  /** The replicas of a service; only that of one campus. */
  callee(service: ServiceName, campus?: string): Callee;
  /** Status by process name; what does not answer is not in it. */
  statuses(processes: ReadonlySet<string>): Promise<Map<string, StatusReply>>;
  /** Asks each of the processes itself; what does not answer is not in the result. */
  ask<I, O>(
    method: Method<I, O>,
    request: I,
    processes: ReadonlySet<string>,
  ): Promise<Map<string, O>>;
  stop(): void;
}

const ASK_TIMEOUT_MS = 1_500;

/** Asks each process through a callee of its own; what does not answer is not in the result. */
export async function askEach<P extends { readonly name: string }, I, O>(
  processes: readonly P[],
  calleeOf: (process: P) => Callee,
  { method, request }: { method: Method<I, O>; request: I },
): Promise<Map<string, O>> {
  const found = new Map<string, O>();
  await Promise.all(
    processes.map(async (process) => {
      const asked = calleeOf(process).call(method, request, { timeoutMs: ASK_TIMEOUT_MS });
      const reply = await asked.catch(() => undefined);
      if (reply !== undefined) found.set(process.name, reply);
    }),
  );
  return found;
}
