/** What AWS would bill for, counted in its own units: no prices yet. */
export interface Usage {
  /** Write request units of the table: each item that is written, in whole KB. */
  readonly tableWrites: number;
  /** The same, of its index. */
  readonly indexWrites: number;
  /** Read request units of the table: each item that is read, in whole 4 KB; half of that when a read may be stale. */
  readonly reads: number;
  /** Sends, receives and deletes, in whole 64 KB. */
  readonly sqsRequests: number;
  readonly lambdaRequests: number;
  readonly lambdaGbSeconds: number;
  /** One-time schedules that fire. */
  readonly schedules: number;
  readonly s3Puts: number;
  readonly s3Gets: number;
  /** Events on the bus, in whole 64 KB. */
  readonly events: number;
}

export const noUsage: Usage = {
  tableWrites: 0,
  indexWrites: 0,
  reads: 0,
  sqsRequests: 0,
  lambdaRequests: 0,
  lambdaGbSeconds: 0,
  schedules: 0,
  s3Puts: 0,
  s3Gets: 0,
  events: 0,
};

export const usageNames = Object.keys(noUsage) as readonly (keyof Usage)[];

export function addUsage(a: Usage, b: Partial<Usage>): Usage {
  return Object.fromEntries(usageNames.map((name) => [name, a[name] + (b[name] ?? 0)])) as unknown as Usage;
}
