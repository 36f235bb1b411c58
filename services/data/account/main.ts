/** The account-data service: wiring and start. */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { checkAccountDataConfig } from "./config.ts";
import { AccountDataHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  checkAccountDataConfig(context.options);
  const handlers = new AccountDataHandlers(KvClient.of(context));
  context.server.add(AccountData.claimName, (request, call) => handlers.claimName(request, call));
  context.server.add(AccountData.getByName, (request, call) => handlers.getByName(request, call));
  context.server.add(AccountData.confirmations, (request, call) =>
    handlers.confirmations(request, call),
  );
  context.server.add(AccountData.confirmDevices, (request, call) =>
    handlers.confirmDevices(request, call),
  );
};
