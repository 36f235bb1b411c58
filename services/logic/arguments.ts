/** Rules for what clients name things by, the same in every operation. */
import { requireArgument } from "../svrkit/errors.ts";

const CLIENT_ID_CHARACTERS_MAX = 64;
/** The form that services/svrkit/ids.ts gives ids. */
const ID = /^[0-9a-f]{2}[0-9a-z]{1,40}-[0-9a-z]{1,40}$/;

export function requireId(id: string, what: string): void {
  requireArgument(
    ID.test(id),
    `"${id.slice(0, 100)}" cannot be ${what}: it does not look like one`,
  );
}

export function requireClientId(id: string, what: string): void {
  const characters = [...id.slice(0, 2 * CLIENT_ID_CHARACTERS_MAX + 1)].length;
  requireArgument(
    characters >= 1 && characters <= CLIENT_ID_CHARACTERS_MAX,
    `${what} must have 1 to ${CLIENT_ID_CHARACTERS_MAX} characters`,
  );
}
