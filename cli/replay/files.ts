/** Where a replay's files lie, and how the logs are read: known to the replay and to the ledger. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type ChatLog, parseChatLog } from "./chat-log.ts";

export function readChatLogs(paths: readonly string[]): ChatLog[] {
  return paths.map((path) => parseChatLog(basename(path), readFileSync(path)));
}

/** The store of one device. Login names and device names are safe in paths: see account.proto. */
export function deviceFile(storesDir: string, userName: string, device: string): string {
  return join(storesDir, `${userName}@${device}`);
}
