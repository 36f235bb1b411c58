/** Removing media: by their owner, by age, with their owner's account. The rows go first, then the bytes. */
import type {
  EraseMediaRequest,
  RemoveMediaReply,
  RemoveMediaRequest,
  RetainMediaRequest,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { requireCaller } from "../authority.ts";
import { forgetAll } from "../trim.ts";
import type { Copies } from "./copies.ts";
import type { Owned } from "./owned.ts";
import { EVERYBODY, grantRow, KEEP_ROWS, mediaOfKey, mediumKey } from "./rows.ts";
import type { Sight } from "./sight.ts";

export interface RemovalParts {
  readonly kv: KvClient;
  readonly sight: Sight;
  readonly owned: Owned;
  readonly copies: Copies;
  /** Milliseconds since 1970. */
  readonly now: () => number;
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

  /**
   * retention: a medium goes when it is old, and sooner when its upload was never finished. What is in use counts
   * anew, so that it is looked at once in so long, and goes when it is in use no more.
   */
  async retain(request: RetainMediaRequest, call: Call): Promise<RemoveMediaReply> {
    requireCaller(call, ["retention"], "forgetting media");
    const { userId, beforeMs, unfinishedBeforeMs } = request;
    const options = forward(call);
    for await (const { mediaId, atMs } of this.#parts.owned.of(userId, options)) {
      const isOld = atMs < beforeMs;
      if (!isOld && atMs >= unfinishedBeforeMs) continue;
      if (isOld && (await this.#isInUse(mediaId, options))) {
        await this.#parts.owned.renew({ mediaId, ownerId: userId }, this.#parts.now(), options);
        continue;
      }
      const facts = isOld ? undefined : await this.#parts.sight.find(mediaId, call);
      if (isOld || facts?.finished !== true) await this.#remove(userId, mediaId, options);
    }
    return {};
  }

  /** As an avatar, for those everybody may see; in a moment. */
  async #isInUse(mediaId: string, options: CallOptions): Promise<boolean> {
    const { kv } = this.#parts;
    const key = mediumKey(mediaId);
    const level = Level.STRONG;
    const request = { key, rows: [grantRow(EVERYBODY)], marks: [], level };
    if ((await kv.getRows(request, options)).rows.length > 0) return true;
    const scan = { key, ...KEEP_ROWS, limit: 1, level, reverse: false };
    return (await kv.scanRows(scan, options)).rows.length > 0;
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
