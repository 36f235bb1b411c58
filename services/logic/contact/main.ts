/** Wires the service "contact". */
import { Contact } from "../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import { Reaching } from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { StartService } from "../../svrkit/context.ts";
import { requireService } from "../arguments.ts";
import { Notifier } from "../notify/notifier.ts";
import { contactOptions } from "./config.ts";
import { ContactHandlers } from "./handlers.ts";
import { Reach } from "./reach.ts";

export const start: StartService = async (context) => {
  contactOptions.parse(context.options ?? {});
  const { server, tickets } = context;
  const contacts = context.callee("contact-data");
  const reach = new Reach({
    ...{ tickets, contacts, accounts: context.callee("account-data"), now: monotonicMs },
    peers: context.callee("contact"),
  });
  const handlers = new ContactHandlers({
    ...{ tickets, contacts, notifier: new Notifier(context) },
    reachChanged: (owner, other) => reach.tell(owner, other),
  });
  server.add(Contact.ask, (request, call) => handlers.ask(request, call));
  server.add(Contact.answer, (request, call) => handlers.answer(request, call));
  server.add(Contact.remove, (request, call) => handlers.remove(request, call));
  server.add(Contact.set, (request, call) => handlers.set(request, call));
  server.add(Contact.setTag, (request, call) => handlers.setTag(request, call));
  server.add(Contact.deleteTag, (request, call) => handlers.deleteTag(request, call));
  server.add(Contact.block, (request, call) => handlers.block(request, call));
  server.add(Contact.setPolicy, (request, call) => handlers.setPolicy(request, call));
  server.add(Reaching.may, (request, call) => reach.may(request, call));
  server.add(Reaching.forget, (request, call) => {
    requireService(call, ["contact", "account"], "saying that reach has changed");
    reach.forget(request);
    return {};
  });
  server.add(Reaching.finish, async ({ userIds }, call) => {
    requireService(call, ["sync"], "finishing requests");
    await handlers.finish(userIds, call);
    return {};
  });
};
