/**
 * Rules that nobody may break. A replica that sees one broken stops: going on would spread the damage.
 */
import { rulesLookAway } from "./planted.ts";

export class ProtocolViolation extends Error {}

export function assertRule(holds: boolean, rule: string, facts: () => string): asserts holds {
  if (!holds && !rulesLookAway()) throw new ProtocolViolation(`${rule}: ${facts()}`);
}
