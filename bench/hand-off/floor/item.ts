/** A message of the floor. */
export interface Hop {
  readonly chain: string;
  readonly hop: number;
  readonly hops: number;
  /** As of a run's graph: both writes of Pawl's rely on it. */
  readonly fingerprint: string;
  /** So that the message is as long as one of Pawl's. */
  readonly padding: string;
}

/** Where the item of a chain has what its code has left, hop by hop. */
export function outputField(hop: number): string {
  return `o${hop}`;
}

export function stateField(hop: number): string {
  return `s${hop}`;
}
