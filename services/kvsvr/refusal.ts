/**
 * A replica that lost its memory: it answers every call by saying so, so that callers go elsewhere at
 * once and people see why in `tricampus status`. It never votes (S3).
 */
import { Kv } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import type { Method } from "../svrkit/method.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import type { Server } from "../svrkit/server.ts";

export function refuseEverything(
  server: Server,
  why: { campus: string; log: Logger; reason: string },
): void {
  why.log.error({ reason: why.reason }, "this replica does not vote and does not serve");
  setTrouble("kvsvr", `does not vote: ${why.reason}`);
  const refuse = () => {
    throw new RpcError(
      "UNAVAILABLE",
      `the replica in campus ${why.campus} may not vote or serve: ${why.reason}`,
    );
  };
  for (const method of [...Object.values(Kv), ...Object.values(Replica)]) {
    server.add(method as Method<unknown, unknown>, refuse);
  }
}
