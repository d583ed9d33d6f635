/** A message of the floor. */
export interface Hop {
  readonly chain: string;
  readonly hop: number;
  readonly hops: number;
  /** So that the message is as long as one of Pawl's. */
  readonly padding: string;
}

export function hopField(hop: number): string {
  return `s${hop}`;
}

/** As long as what Pawl stores of a step at work. */
export const running = "running#1#0123456789ab#1700000000000#1700000030000".padEnd(60, "#");
