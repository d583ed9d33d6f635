/**
 * What AWS asks for, in dollars. First tier, on demand, without free tier, savings plans or taxes.
 *
 * To take other prices (another region, a contract), give `pawl cost --prices` a file with an object of this shape.
 */
import type { Usage } from "./usage.ts";

export interface Prices {
  /** The day on which the sources said so. */
  readonly date: string;
  readonly sources: readonly string[];
  /** For one of each. */
  readonly perUnit: Readonly<Record<keyof Usage, number>>;
  readonly peers: {
    /** AWS Step Functions, Standard: for one state transition. */
    readonly stateTransition: number;
    /** Lambda durable functions: for one operation, one GB written, and one GB kept for a month. */
    readonly durableOperation: number;
    readonly durableGbWritten: number;
    readonly durableGbMonth: number;
  };
}

const perMillion = 1 / 1_000_000;

const usEast1: Prices = {
  date: "2026-11-20",
  sources: [
    "https://aws.amazon.com/dynamodb/pricing/on-demand/ (read 2026-10-04)",
    "AWS Price List API, AWSLambda (published 2026-09-19)",
    "AWS Price List API, AWSQueueService (2026-09-11)",
    "https://aws.amazon.com/eventbridge/pricing/ (as told elsewhere, 2026-03)",
    "https://aws.amazon.com/s3/pricing/",
    "https://aws.amazon.com/step-functions/pricing/",
  ],
  perUnit: {
    tableWrites: 0.625 * perMillion,
    indexWrites: 0.625 * perMillion,
    reads: 0.125 * perMillion,
    sqsRequests: 0.4 * perMillion,
    lambdaRequests: 0.2 * perMillion,
    // arm64
    lambdaGbSeconds: 0.0000133334,
    schedules: 1 * perMillion,
    s3Puts: 5 * perMillion,
    s3Gets: 0.4 * perMillion,
    events: 1 * perMillion,
  },
  peers: {
    stateTransition: 0.025 / 1_000,
    durableOperation: 8 * perMillion,
    durableGbWritten: 0.25,
    durableGbMonth: 0.15,
  },
};

/** By region. */
export const prices: Readonly<Record<string, Prices>> = { "us-east-1": usEast1 };
