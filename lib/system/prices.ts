/**
 * What AWS bills in us-east-1, in dollars, on demand: read in AWS's price lists on 2026-10-04. Estimates are made of
 * these and of nothing else.
 */
export const prices = {
  /** DynamoDB: a write of up to 1 KB, a consistent read of up to 4 KB. */
  writeUnit: 0.625e-6,
  readUnit: 0.125e-6,
  /** SQS: sending, receiving or deleting a message. */
  queueRequest: 0.4e-6,
  /** Lambda on arm64: an invocation, and a GB of memory for a second. */
  invocation: 0.2e-6,
  gigabyteSecond: 13.3334e-6,
} as const;
