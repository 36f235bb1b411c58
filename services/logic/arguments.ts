/** Rules for what clients name things by, and for who calls, the same in every operation. */
import { usersOf } from "../data/message/client.ts";
import type { Call } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";

const CLIENT_ID_CHARACTERS_MAX = 64;
/** The form that services/svrkit/ids.ts gives ids. */
const ID = /^[0-9a-f]{2}[0-9a-z]{1,40}-[0-9a-z]{1,40}$/;

export function requireService(
  { caller }: Pick<Call, "caller">,
  services: readonly string[],
  what: string,
): void {
  if (services.includes(caller)) return;
  throw new RpcError("PERMISSION_DENIED", `${what} is for the service ${services.join(", ")}`);
}

export function requireId(id: string, what: string): void {
  requireArgument(
    ID.test(id),
    `"${id.slice(0, 100)}" cannot be ${what}: it does not look like one`,
  );
}

export function requireClientId(id: string, what: string): void {
  requireCharacters(id, what, { min: 1, max: CLIENT_ID_CHARACTERS_MAX });
}

/** Characters, not UTF-16 units or bytes. */
export function requireCharacters(
  text: string,
  what: string,
  { min = 0, max }: { min?: number; max: number },
): void {
  const characters = [...text.slice(0, 2 * max + 1)].length;
  const range = min === 0 ? `at most ${max}` : `${min} to ${max}`;
  requireArgument(characters >= min && characters <= max, `${what} has ${range} characters`);
}

/** Content-addressed: services/media. */
const MEDIA_ID = /^[a-z0-9]{40,64}$/;

export function requireMediaId(id: string, what: string): void {
  requireArgument(MEDIA_ID.test(id), `${what} does not look like one: upload first`);
}

export function requireMediaIdOrNone(id: string, what: string): void {
  if (id !== "") requireMediaId(id, what);
}

/** A 1:1 conversation's id, or a group's. */
export function requireConversationId(id: string): void {
  const isDirect = usersOf(id).every((user) => ID.test(user)) && usersOf(id).length === 2;
  if (!isDirect) requireId(id, "a conversation id");
}
