/** The queue streams of groups as the logic services use them: one a group, named by the group's id. */
import {
  encodeGroupEntry,
  type GroupEntry,
} from "../../protos/gen/tricampus/data/v1/group_codec.ts";
import { QueueClient } from "../queue/client.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { toBytes } from "../svrkit/codec.ts";

export class GroupStreams {
  readonly #queue: QueueClient;

  constructor(queue: Callee) {
    this.#queue = new QueueClient(queue);
  }

  /**
   * Resolves when the entry is durable in two campuses: it will be worked off, exactly once. To its slot;
   * 0: not known yet.
   */
  async append(groupId: string, entry: GroupEntry, options: CallOptions): Promise<number> {
    const payload = toBytes(encodeGroupEntry, entry);
    const id = Buffer.from(entry.id);
    const { slot } = await this.#queue.append({ stream: groupId, id, payload }, options);
    return slot;
  }
}
