/** The account-data service: wiring and start. */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { ApiAuditHandlers } from "./api-audit.ts";
import { checkAccountDataConfig } from "./config.ts";
import { EraseHandlers } from "./erase.ts";
import { AccountDataHandlers } from "./handlers.ts";
import { UserHandlers } from "./users.ts";

export const start: StartService = async (context) => {
  checkAccountDataConfig(context.options);
  const { server, tickets } = context;
  const kv = KvClient.of(context);
  const names = new AccountDataHandlers(kv, tickets);
  const users = new UserHandlers(kv, tickets);
  const erase = new EraseHandlers(kv, tickets);
  const audit = new ApiAuditHandlers(kv);
  server.add(AccountData.claimName, (request, call) => names.claimName(request, call));
  server.add(AccountData.getByName, (request, call) => names.getByName(request, call));
  server.add(AccountData.getBySubject, (request, call) => names.getBySubject(request, call));
  server.add(AccountData.replace, (request, call) => names.replace(request, call));
  server.add(AccountData.confirmDevices, (request, call) => names.confirmDevices(request, call));
  server.add(AccountData.confirmations, (request, call) => names.confirmations(request, call));
  server.add(AccountData.retainRevocations, (request, call) =>
    users.retainRevocations(request, call),
  );
  server.add(AccountData.beginErasing, (request, call) => erase.begin(request, call));
  server.add(AccountData.erasing, (_, call) => erase.erasing(call));
  server.add(AccountData.markGone, (request, call) => erase.markGone(request, call));
  server.add(AccountData.gone, (request, call) => erase.gone(request, call));
  server.add(AccountData.erase, (request, call) => erase.erase(request, call));
  server.add(AccountData.appendAudit, (request, call) => audit.append(request, call));
  server.add(AccountData.readAudit, (request, call) => audit.read(request, call));
  server.add(AccountData.identity, (_, call) => users.identity(call));
  server.add(AccountData.logIn, (request, call) => users.logIn(request, call));
  server.add(AccountData.logOut, (request, call) => users.logOut(request, call));
  server.add(AccountData.set, (request, call) => users.set(request, call));
  server.add(AccountData.profiles, (request, call) => users.profiles(request, call));
  server.add(AccountData.changes, (request, call) => users.changes(request, call));
  server.add(AccountData.facts, (request, call) => users.facts(request, call));
};
