import type { Context } from "aws-lambda";

/** What our handlers read of it. */
export const lambdaContext = { awsRequestId: "request", getRemainingTimeInMillis: () => 30_000 } as Context;
