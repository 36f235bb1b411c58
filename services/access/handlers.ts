/** What services ask of access: to push to connections. For the platform's own services only. */
import type { PushReply, PushRequest } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import type { Call } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Connections } from "./connections.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";
import { encodeRows } from "./partial-codec.ts";

const pushed = monitorId("access.pushes");

export class PushHandlers {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  push(request: PushRequest, call: Call): PushReply {
    if (call.caller === "")
      throw new RpcError("PERMISSION_DENIED", "pushes come from services, which say who they are");
    const carried = rowsOf(request);
    const gone: number[] = [];
    for (const target of request.targets) {
      const connection = this.#connections.find(target.connection, target.userId);
      if (connection === undefined) {
        gone.push(target.connection);
        continue;
      }
      monitor.add(pushed, 1);
      if (request.otherParts) {
        connection.hintOtherParts();
        continue;
      }
      connection.offer({ version: target.version, follows: target.follows, rows: carried });
    }
    return { gone };
  }
}

/** What the push carries; undefined: every target gets a hint. */
function rowsOf({ messages, settings, showsNothing }: PushRequest): Uint8Array | undefined {
  if (messages.length + settings.length === 0) return showsNothing ? NO_BYTES : undefined;
  const rows = encodeRows(messages, settings);
  return rows.length <= FRAME_BYTES_MAX / 2 ? rows : undefined;
}
