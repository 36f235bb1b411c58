/**
 * Rules that nobody may break. A replica that sees one broken stops: going on would spread the damage.
 */
export class ProtocolViolation extends Error {}

export function assertRule(holds: boolean, rule: string, facts: () => string): asserts holds {
  if (!holds) throw new ProtocolViolation(`${rule}: ${facts()}`);
}
