/** Whether a user lets others know how far it has read: the data centre's rule, and the user's own. */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";

/** Asked each time: who has just said that it hides its reading is not told of any more. */
export function tellsReading(accounts: Callee, receipts: boolean) {
  return async (userId: string, call: Call): Promise<boolean> => {
    if (!receipts) return false;
    const { settings } = await accounts.call(AccountData.facts, { userId }, forward(call));
    return settings?.hidesReading !== true;
  };
}
