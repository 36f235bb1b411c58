/** What the operator needs of a logger: pino's way to say things. */
type Say = (facts: object, text: string) => void;

export interface OperatorLog {
  readonly debug: Say;
  readonly info: Say;
  readonly warn: Say;
  readonly error: Say;
}
