/**
 * What a service gets when its process starts it. Each service folder has a `main.ts` that exports
 * `start(context)`; services/platform decides which services share a process.
 */
import type { Callee, ServiceAddress } from "./client.ts";
import type { Blocks } from "./failover/blocks.ts";
import type { Shards } from "./failover/shards.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Logger } from "./log.ts";
import type { Server } from "./server.ts";
import type { SnapshotSealer } from "./ticket/snapshot.ts";
import type { TicketVerifier } from "./ticket/verify.ts";
import type { Security } from "./transport/tcp.ts";

/** Where every service is, known or not yet, and how this process speaks with them. */
export interface Places {
  readonly services: readonly string[];
  /** One a campus; host and port of one that is not known throw. */
  addressesOf(service: string): readonly ServiceAddress[];
  readonly security: Security;
}

export interface ServiceContext {
  /** This service's name, e.g. "text". */
  readonly service: string;
  /** Campus of this process, and all campuses of the data centre in order. */
  readonly campus: string;
  readonly campuses: readonly string[];
  /** Number of the data centre, 0-255. */
  readonly dc: number;
  /** "a/logic" */
  readonly process: string;
  /** The service's own directory; exists. */
  readonly dataDir: string;
  readonly server: Server;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly tickets: TicketVerifier;
  readonly snapshots: SnapshotSealer;
  /** What is blocked now; callees heed it by themselves. */
  readonly blocks: Blocks;
  /** Which KV group serves which slot. */
  readonly shards: Shards;
  /** The replicas of another service, one a campus in the order of `campuses`. */
  callee(service: string): Callee;
  /** For who passes connections on. */
  readonly places?: Places;
  /** The service's own options as configured; its config.ts checks them with zod. */
  readonly options: unknown;
}

export type StartService = (context: ServiceContext) => Promise<void>;
