/** Where each service starts. The imports are dynamic: a process loads only what it runs. */
import type { StartService } from "../svrkit/context.ts";
import { type ADMIN, KV_GROUPS, type SERVICES, type ServiceName } from "./services.ts";

type ServiceModule = { readonly start: StartService };

const modules: Record<(typeof SERVICES)[number] | typeof ADMIN, () => Promise<ServiceModule>> = {
  admin: () => import("../admin/main.ts"),
  access: () => import("../access/main.ts"),
  kvsvr: () => import("../kvsvr/main.ts"),
  "queuelog-1": () => import("../queuelog/main.ts"),
  "queuelog-2": () => import("../queuelog/main.ts"),
  queue: () => import("../queue/main.ts"),
  router: () => import("../router/main.ts"),
  "account-data": () => import("../data/account/main.ts"),
  "inbox-data": () => import("../data/inbox/main.ts"),
  "message-data": () => import("../data/message/main.ts"),
  "group-data": () => import("../data/group/main.ts"),
  account: () => import("../logic/account/main.ts"),
  text: () => import("../logic/text/main.ts"),
  group: () => import("../logic/group/main.ts"),
  sync: () => import("../logic/sync/main.ts"),
  fanout: () => import("../logic/fanout/main.ts"),
  conversation: () => import("../logic/conversation/main.ts"),
  retention: () => import("../logic/retention/main.ts"),
  "contact-data": () => import("../data/contact/main.ts"),
  contact: () => import("../logic/contact/main.ts"),
  "media-data": () => import("../data/media/main.ts"),
  media: () => import("../logic/media/main.ts"),
  "moments-data": () => import("../data/moments/main.ts"),
  moments: () => import("../logic/moments/main.ts"),
  hooks: () => import("../logic/hooks/main.ts"),
};

export async function loadService(service: ServiceName): Promise<StartService> {
  const name = KV_GROUPS.find((group) => group === service) === undefined ? service : "kvsvr";
  const { start } = await modules[name as keyof typeof modules]();
  return start;
}
