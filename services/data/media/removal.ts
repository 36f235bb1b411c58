/** Removing media: by their owner, by age, with their owner's account. The rows go first, then the bytes. */
import type {
  EraseMediaRequest,
  RemoveMediaReply,
  RemoveMediaRequest,
  RetainMediaRequest,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { requireCaller } from "../authority.ts";
import { forgetAll } from "../trim.ts";
import type { Copies } from "./copies.ts";
import type { Owned } from "./owned.ts";
import { mediaOfKey, mediumKey } from "./rows.ts";
import type { Sight } from "./sight.ts";

export interface RemovalParts {
  readonly kv: KvClient;
  readonly sight: Sight;
  readonly owned: Owned;
  readonly copies: Copies;
}

export class RemovalHandlers {
  readonly #parts: RemovalParts;

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  async remove({ mediaId }: RemoveMediaRequest, call: Call): Promise<RemoveMediaReply> {
    const { ownerId } = await this.#parts.sight.requireOwn(mediaId, call);
    await this.#remove(ownerId, mediaId, forward(call));
    return {};
  }

  /** retention: a medium goes when it is old, and sooner when its upload was never finished. */
  async retain(request: RetainMediaRequest, call: Call): Promise<RemoveMediaReply> {
    requireCaller(call, ["retention"], "forgetting media");
    const { userId, beforeMs, unfinishedBeforeMs } = request;
    const options = forward(call);
    for await (const { mediaId, atMs } of this.#parts.owned.of(userId, options)) {
      const isOld = atMs < beforeMs;
      if (!isOld && atMs >= unfinishedBeforeMs) continue;
      const facts = isOld ? undefined : await this.#parts.sight.find(mediaId, call);
      if (isOld || facts?.finished !== true) await this.#remove(userId, mediaId, options);
    }
    return {};
  }

  async erase({ userId }: EraseMediaRequest, call: Call): Promise<RemoveMediaReply> {
    requireCaller(call, ["account"], "erasing media");
    const options = forward(call);
    for await (const { mediaId } of this.#parts.owned.of(userId, options)) {
      await this.#remove(userId, mediaId, options);
    }
    await forgetAll(this.#parts.kv, mediaOfKey(userId), options);
    return {};
  }

  async dropHere(request: RemoveMediaRequest, call: Call): Promise<RemoveMediaReply> {
    requireCaller(call, ["media-data"], "copies of parts");
    await this.#parts.copies.dropHere(request);
    return {};
  }

  /** The owner's row last: what was begun and not done is found again by it. */
  async #remove(ownerId: string, mediaId: string, options: CallOptions): Promise<void> {
    const { kv, copies, owned } = this.#parts;
    await forgetAll(kv, mediumKey(mediaId), options);
    await copies.drop(mediaId);
    await owned.remove(ownerId, mediaId, options);
  }
}
