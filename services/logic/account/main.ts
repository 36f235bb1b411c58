/** The account service: wiring and start. */
import { readFileSync } from "node:fs";
import { Account } from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import { TicketSigner } from "../../svrkit/ticket/sign.ts";
import { checkAccountConfig } from "./config.ts";
import { AccountHandlers } from "./handlers.ts";
import { PasswordHasher } from "./password.ts";

export const start: StartService = async (context) => {
  const config = checkAccountConfig(context.options);
  const { dc, campus } = context;
  const handlers = new AccountHandlers({
    accounts: context.callee("account-data"),
    passwords: new PasswordHasher({
      memoryKib: config.passwordMemoryKib,
      passes: config.passwordPasses,
    }),
    signer: new TicketSigner(config.keyId, readFileSync(config.privateKeyFile, "utf8")),
    tickets: context.tickets,
    userIds: new IdMaker({
      dc,
      campus,
      letter: "u",
      incarnation: raiseIncarnation(context.dataDir),
    }),
    ticketLifetimeMs: config.ticketLifetimeMs,
    now: Date.now,
  });
  context.server.add(Account.register, (request, call) => handlers.register(request, call));
  context.server.add(Account.login, (request, call) => handlers.login(request, call));
  context.server.add(Account.find, (request, call) => handlers.find(request, call));
};
