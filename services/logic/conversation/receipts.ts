/** Whether a user lets others know how far it has read: the data centre's rule, and the user's own. */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Call, forward, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";

const REMEMBERED_MAX = 50_000;
const REMEMBERED_MS = 30_000;

export function tellsReading(accounts: Callee, receipts: boolean) {
  const known = new RecentlyUsed<string, { tells: boolean; untilMs: number }>(REMEMBERED_MAX);
  return async (userId: string, call: Call): Promise<boolean> => {
    if (!receipts) return false;
    const remembered = known.get(userId);
    if (remembered !== undefined && remembered.untilMs > monotonicMs()) return remembered.tells;
    const facts = await accounts.call(AccountData.facts, { userId }, forward(call));
    const tells = facts.settings?.hidesReading !== true;
    known.set(userId, { tells, untilMs: monotonicMs() + REMEMBERED_MS });
    return tells;
  };
}
