/** Who has muted a conversation: for who rings devices, and is nobody's ticket away from it (handlers.ts). */
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { inboxKey } from "./rows.ts";
import { muteRow, readSetting } from "./settings.ts";

const AT_ONCE = 32;

/**
 * Those of `userIds` that have muted the conversation, as the nearest replica knows it: a mute that is a
 * moment old may not count yet.
 */
export async function mutedUsers(
  kv: Pick<KvClient, "getRows">,
  { conversationId, userIds }: { conversationId: string; userIds: readonly string[] },
  options: CallOptions,
): Promise<string[]> {
  const rows = [muteRow(conversationId)];
  const muted: string[] = [];
  for (let at = 0; at < userIds.length; at += AT_ONCE) {
    const some = userIds.slice(at, at + AT_ONCE).map(async (userId) => {
      const request = { key: inboxKey(userId), rows, marks: [], level: Level.ANY };
      const [found] = (await kv.getRows(request, options)).rows;
      const setting = found === undefined ? undefined : readSetting(found.value).setting;
      if (setting?.case === "muted" && setting.value) muted.push(userId);
    });
    await Promise.all(some);
  }
  return muted;
}
