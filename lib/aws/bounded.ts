/**
 * `standard` pauses for up to 1, 2, 4 s when throttled and for a tenth of a second otherwise, and stops repeating when most
 * requests fail. (`adaptive` would hold back all runs of a process because one partition is hot.)
 */
export function bounded(maxAttempts: number, requestMs: number) {
  return {
    retryMode: "standard",
    maxAttempts,
    // Without these, the SDK waits for ever for an answer that does not come, and the invocation with it. There is no
    // limit for connecting alone: the SDK would count the time in which a request waits for one of the open connections.
    requestHandler: {
      requestTimeout: requestMs,
      socketTimeout: requestMs,
      throwOnRequestTimeout: true,
    },
  } as const;
}
