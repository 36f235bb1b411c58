/** Whom a message goes to: --to a user by name, or --group a group by id. */
import type { Recipient } from "../sdk/store.ts";
import { type CommandCall, textOption } from "./command.ts";
import { EXIT, Failure } from "./failure.ts";

export const RECIPIENT_OPTIONS = [
  ["--to <name>", "a user"],
  ["--group <id>", "a group"],
] as const;

/** Undefined when neither was given. */
export function recipientOf(call: CommandCall): Recipient | undefined {
  const userName = textOption(call, "to");
  const groupId = textOption(call, "group");
  if (userName !== undefined && groupId !== undefined) {
    throw new Failure(EXIT.usage, "give --to or --group, not both");
  }
  if (userName !== undefined) return { userName };
  return groupId === undefined ? undefined : { groupId };
}
