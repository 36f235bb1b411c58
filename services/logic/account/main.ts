/** The account service: wiring and start. */
import { Account } from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import { Admin } from "../../../protos/gen/tricampus/client/v1/admin_codec.ts";
import { QueueClient, QueueLetters } from "../../queue/client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import type { TicketSigner } from "../../svrkit/ticket/sign.ts";
import { GroupStreams } from "../group-streams.ts";
import { Notifier } from "../notify/notifier.ts";
import { AdminHandlers } from "./admin.ts";
import { AdminLettersHandlers } from "./admin-letters.ts";
import { ApiKeys } from "./api-keys.ts";
import { type AccountConfig, checkAccountConfig } from "./config.ts";
import { Eraser } from "./eraser.ts";
import { AccountHandlers } from "./handlers.ts";
import { IdTokens } from "./id-tokens.ts";
import { PasswordHasher } from "./password.ts";
import { ProfileHandlers } from "./profile.ts";
import { signingKey } from "./signing-key.ts";

export const start: StartService = async (context) => {
  const config = checkAccountConfig(context.options);
  const { dc, campus, campuses, server, tickets } = context;
  const { ticketLifetimeMs, devicesMax, oidc } = config;
  const accounts = context.callee("account-data");
  const incarnation = raiseIncarnation(context.dataDir);
  const userIds = new IdMaker({ dc, campus, letter: "u", incarnation });
  const handlers = new AccountHandlers({
    ...{ accounts, tickets, ticketLifetimeMs, devicesMax, now: Date.now },
    passwords: new PasswordHasher({
      memoryKib: config.passwordMemoryKib,
      passes: config.passwordPasses,
    }),
    idTokens: new IdTokens(oidc),
    signer: followedSigner(config, context),
    userIds,
  });
  const admin = new AdminHandlers({
    ...{ tickets, accounts, userIds, now: Date.now },
    keys: new ApiKeys({
      ...{ path: config.apiKeysFile, requestsPerSecond: config.apiRequestsPerSecond },
      ...{ log: context.log, now: monotonicMs },
    }),
    ticketFor: (standing, facts, call) => handlers.ticketFor(standing, facts, call),
  });
  const queue = context.callee("queue");
  const letters = new QueueLetters(queue);
  const adminLetters = new AdminLettersHandlers({
    ...{ letters, queue: new QueueClient(queue), now: Date.now },
    keyOf: (call, scope) => admin.keyOf(call, scope),
    note: (done, call) => admin.note(done, call),
  });
  const eraser = new Eraser({
    ...{
      accounts,
      contacts: context.callee("contact-data"),
      inboxes: context.callee("inbox-data"),
    },
    ...{ messages: context.callee("message-data"), groups: context.callee("group-data") },
    moments: context.callee("moments-data"),
    ...{ media: context.callee("media-data"), reaching: context.callee("contact") },
    ...{ streams: new GroupStreams(queue), letters },
    ...{ log: context.log, own: campuses.indexOf(campus), campuses: campuses.length },
    ...{ everyMs: config.eraseEveryMs, pauseMs: config.erasePauseMs, now: Date.now },
  });
  context.lifecycle.onStop("account: erasing", () => eraser.stop());
  const notifier = new Notifier(context);
  const profiles = new ProfileHandlers({ accounts, tickets, ticketLifetimeMs, notifier });
  server.add(Admin.issueTicket, (request, call) => admin.issueTicket(request, call));
  server.add(Admin.importUsers, (request, call) => admin.importUsers(request, call));
  server.add(Admin.findUser, (request, call) => admin.findUser(request, call));
  server.add(Admin.auditLog, (request, call) => admin.auditLog(request, call));
  server.add(Admin.deadLetters, (request, call) => adminLetters.list(request, call));
  server.add(Admin.retryDeadLetters, (request, call) => adminLetters.retry(request, call));
  server.add(Admin.dropDeadLetters, (request, call) => adminLetters.drop(request, call));
  server.add(Account.register, (request, call) => handlers.register(request, call));
  server.add(Account.login, (request, call) => handlers.login(request, call));
  server.add(Account.loginWithToken, (request, call) => handlers.loginWithToken(request, call));
  server.add(Account.renew, (_, call) => handlers.renew(call));
  server.add(Account.find, (request, call) => handlers.find(request, call));
  server.add(Account.changePassword, (request, call) => handlers.changePassword(request, call));
  server.add(Account.delete, (request, call) => handlers.delete(request, call));
  server.add(Account.profiles, (request, call) => profiles.profiles(request, call));
  server.add(Account.setProfile, (request, call) => profiles.setProfile(request, call));
  server.add(Account.setSettings, (request, call) => profiles.setSettings(request, call));
  server.add(Account.logOut, (request, call) => profiles.logOut(request, call));
  server.add(Account.logOutEverywhere, (request, call) => profiles.logOutEverywhere(request, call));
};

/** The newest key signs, also when it comes later. */
function followedSigner(
  config: AccountConfig,
  { log, lifecycle }: ServiceContext,
): Pick<TicketSigner, "sign"> {
  const key = signingKey(config, log);
  key.watch();
  lifecycle.onStop("account: signing key", () => key.stop());
  return { sign: (facts) => key.value.sign(facts) };
}
