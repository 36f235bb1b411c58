/** One place in a source that breaks a rule of the house. */
export interface Finding {
  path: string;
  /** From 1; 1 too for what concerns the whole file. */
  line: number;
  rule: string;
  message: string;
  /** A wish, printed but not failing. */
  isWarning?: true;
}
