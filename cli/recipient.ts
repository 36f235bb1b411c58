/** Whom a message goes to: --to a user by name, or --group a group by id; and who bears a name. */
import type { TricampusClient } from "../sdk/client.ts";
import type { Recipient } from "../sdk/store.ts";
import { RpcError } from "../services/svrkit/errors.ts";
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

/** "01au1-2": what a user id looks like. A name may look like that, too, and goes before. */
const USER_ID_FORM = /^[0-9a-f]{2}[a-z][a-z0-9-]*u[0-9a-z]+-[0-9a-z]+$/;

/** The id of any registered user, by name or by id. */
export async function userIdOf(client: TricampusClient, nameOrId: string): Promise<string> {
  try {
    return await client.findUser(nameOrId);
  } catch (error) {
    if (RpcError.from(error).code !== "NOT_FOUND") throw error;
    if (USER_ID_FORM.test(nameOrId)) return nameOrId;
    throw new Failure(
      EXIT.failed,
      `nobody is registered as "${nameOrId}": check the name (NOT_FOUND)`,
    );
  }
}

/** The same recipient by id; fails when nobody bears the name. */
export async function resolved(client: TricampusClient, to: Recipient): Promise<Recipient> {
  return "userName" in to ? { userId: await userIdOf(client, to.userName) } : to;
}
