/** From what was used to what it costs, line by line. */
import type { Prices } from "./prices.ts";
import { type Usage, usageNames } from "./usage.ts";

export type Service = "DynamoDB" | "SQS" | "Lambda" | "EventBridge" | "S3";

export interface BillLine {
  readonly service: Service;
  /** What is billed, in words: `write units of the table`. */
  readonly what: string;
  readonly units: number;
  readonly dollars: number;
}

const lines: Readonly<Record<keyof Usage, readonly [service: Service, what: string]>> = {
  tableWrites: ["DynamoDB", "write units of the table"],
  indexWrites: ["DynamoDB", "write units of the index"],
  reads: ["DynamoDB", "read units"],
  sqsRequests: ["SQS", "requests"],
  lambdaRequests: ["Lambda", "invocations"],
  lambdaGbSeconds: ["Lambda", "GB-seconds"],
  schedules: ["EventBridge", "schedules"],
  s3Puts: ["S3", "writes"],
  s3Gets: ["S3", "reads"],
  events: ["EventBridge", "events"],
};

/** Only what was used, as it is listed in `Usage`. */
export function bill(usage: Usage, { perUnit }: Prices): readonly BillLine[] {
  return usageNames.flatMap((name) => {
    const units = usage[name];
    const [service, what] = lines[name];
    return units === 0 ? [] : [{ service, what, units, dollars: units * perUnit[name] }];
  });
}

export function total(of: readonly BillLine[]): number {
  return of.reduce((sum, { dollars }) => sum + dollars, 0);
}

/** In the order in which they first appear. */
export function byService(of: readonly BillLine[]): readonly (readonly [Service, number])[] {
  return [...Map.groupBy(of, ({ service }) => service)].map(([service, all]) => [service, total(all)]);
}
