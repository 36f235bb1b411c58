/** Which part of a replica answers which call. */
import { Kv } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { Server } from "../svrkit/server.ts";
import type { ClientReads } from "./client-reads.ts";
import type { Handlers } from "./handlers.ts";
import { Holdings } from "./holdings.ts";
import type { Membership } from "./membership.ts";
import type { Replica } from "./replica.ts";

/** Adds both services of a replica to its server: what clients ask for, and what other replicas do. */
export function addMethods(
  server: Server,
  parts: { handlers: Handlers; reads: ClientReads; replica: Replica; membership: Membership },
): void {
  const { handlers, reads, replica, membership } = parts;
  const holdings = new Holdings(replica);
  server.add(Kv.batch, (request, call) => handlers.batch(request, call));
  server.add(Kv.batchRest, (request) => handlers.batchRest(request));
  server.add(Kv.get, (request, call) => handlers.get(request, call));
  server.add(Kv.write, (request, call) => handlers.write(request, call));
  server.add(Kv.change, (request, call) => handlers.change(request, call));
  server.add(Kv.getRows, (request, call) => reads.getRows(request, call));
  server.add(Kv.scanRows, (request, call) => reads.scanRows(request, call));
  server.add(Kv.numbers, (request, call) => reads.numbers(request, call));
  server.add(Kv.scanMarks, (request, call) => reads.scanMarks(request, call));
  server.add(Kv.scanChanges, (request, call) => reads.scanChanges(request, call));
  server.add(ReplicaService.vote, (request) => replica.vote(request));
  server.add(ReplicaService.queryVersions, (request) => replica.queryVersions(request));
  server.add(ReplicaService.fetch, (request) => holdings.fetch(request));
  server.add(ReplicaService.fetchMany, (request) => holdings.fetchMany(request));
  server.add(ReplicaService.pipeline, (request) => replica.pipeline(request));
  server.add(ReplicaService.listVersions, (request) => holdings.listVersions(request));
  server.add(ReplicaService.introduce, (request) => membership.introduced(request));
  server.add(ReplicaService.admit, (request) => membership.admit(request));
  server.add(ReplicaService.fetchVotes, (request) => holdings.fetchVotes(request));
  server.add(ReplicaService.floors, () => holdings.floors());
  server.add(ReplicaService.seal, (request) => replica.seal(request));
}
