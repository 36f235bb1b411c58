/** Wires the service "contact-data". */
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { contactDataOptions } from "./config.ts";
import { ContactHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = contactDataOptions.parse(context.options ?? {});
  const handlers = new ContactHandlers(KvClient.of(context), context.tickets, options);
  const { server } = context;
  server.add(ContactData.change, (request, call) => handlers.change(request, call));
  server.add(ContactData.own, (request, call) => handlers.own(request, call));
  server.add(ContactData.deliverRequest, (request, call) => handlers.deliverRequest(request, call));
  server.add(ContactData.deliverAnswer, (request, call) => handlers.deliverAnswer(request, call));
  server.add(ContactData.changes, (request, call) => handlers.changes(request, call));
  server.add(ContactData.erase, (request, call) => handlers.erase(request, call));
  server.add(ContactData.reach, (request, call) => handlers.reach(request, call));
};
