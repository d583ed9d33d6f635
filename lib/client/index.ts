/** Starts and operates runs from anywhere: straight on the table and the queues of a stack, or by an HTTP API. */
export type { StackAddress } from "../aws/environment.ts";
export type { WaitOptions } from "../runtime/completion.ts";
export { type ClientErrorCode, PawlError, type PawlErrorCode } from "../runtime/errors.ts";
export type { Client } from "./client.ts";
export { type ClientOptions, createClient } from "./direct-client.ts";
export { createHttpClient, type HttpAuth, type HttpClientOptions } from "./http-client.ts";
export { type Fetch, regionOf, signedFetch } from "./signed-fetch.ts";
