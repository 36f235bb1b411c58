/** What a checker found: which promise is broken, and by which lines of the history. */
export interface Violation {
  readonly checker: string;
  readonly key: string;
  readonly message: string;
}
