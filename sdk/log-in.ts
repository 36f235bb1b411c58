/** Registers or logs in, with the first sync in the same round trip. */
import { Account } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  type OpenReply,
  type OpenRequest,
  Session,
} from "../protos/gen/tricampus/client/v1/session_codec.ts";
import { orAsBefore } from "../services/svrkit/version-before.ts";
import { PASSWORD_OPTIONS, type Requester } from "./requester.ts";
import { PAGE } from "./sync-loop.ts";

const OPTIONS = { ...PASSWORD_OPTIONS, beforeAttach: true };

/** `snapshot`: what the device has, if it is to sync. */
export async function openSession(
  link: Requester,
  given: NonNullable<OpenRequest["with"]>,
  snapshot: Uint8Array | undefined,
): Promise<OpenReply> {
  const sync = snapshot && { snapshot, limit: PAGE, allParts: true };
  const asked = link.request(Session.open, { with: given, sync }, OPTIONS);
  return orAsBefore(asked, async () => ({ login: await logIn(link, given), sync: undefined }));
}

function logIn(link: Requester, given: NonNullable<OpenRequest["with"]>) {
  switch (given.case) {
    case "register":
      return link.request(Account.register, given.value, OPTIONS);
    case "login":
      return link.request(Account.login, given.value, OPTIONS);
    case "token":
      return link.request(Account.loginWithToken, given.value, OPTIONS);
  }
}
