/** What the processes of the operator's benchmark tell each other. */
export type ToDouble = { readonly ask: "counts" };

export interface DoubleCounts {
  readonly writes: number;
  /** Renewals of the Lease among them. */
  readonly leaseWrites: number;
  readonly objects: number;
  readonly cpuSeconds: number;
}

export type ToOperator = { readonly ask: "state" } | { readonly ask: "rounds" };

export interface OperatorState {
  readonly depth: number;
  /** Rounds that are over, since the start. */
  readonly rounds: number;
  readonly rssMb: number;
  readonly rssMbMax: number;
  readonly cpuSeconds: number;
}
