/** Which server a command asks, and how it shows who is asking. */
import process from "node:process";
import { regionOf, signedFetch } from "../client/signed-fetch.ts";
import { PlainError } from "../dev/plain-error.ts";
import type { Server } from "./api-client.ts";
import type { AwsIdentity } from "./stack-api.ts";

export interface ServerAddress {
  readonly url?: string;
  /** Instead of `url`. */
  readonly stack?: string;
  /** @default iam for stacks and for addresses on AWS, else none */
  readonly auth?: AuthKind;
}

export const authKinds = ["iam", "none", "bearer"] as const;
type AuthKind = (typeof authKinds)[number];

const localUrl = "http://127.0.0.1:7070";

/** @throws {PlainError} when the address, the stack or the credentials are wrong, or not there */
export async function serverOf({ url, stack, auth }: ServerAddress): Promise<Server> {
  if (stack !== undefined) {
    const { findStackApi } = await import("./stack-api.ts");
    const { url: found, ...identity } = await findStackApi(stack);
    return { base: parseUrl(found), fetch: await fetchAs(auth ?? "iam", () => Promise.resolve(identity)) };
  }
  const base = parseUrl(url ?? nonEmpty(process.env.PAWL_URL) ?? localUrl);
  const region = regionOf(base);
  const identity = async (): Promise<AwsIdentity> => (await import("./stack-api.ts")).awsIdentity(region);
  return { base, fetch: await fetchAs(auth ?? (region === undefined ? "none" : "iam"), identity) };
}

/** Whether the server is a stack's: it answers for money, and counts nothing. */
export function isOnAws({ url, stack, auth }: ServerAddress): boolean {
  // A local server asks nobody who they are.
  if (stack !== undefined || (auth !== undefined && auth !== "none")) return true;
  const base = URL.parse(url ?? nonEmpty(process.env.PAWL_URL) ?? localUrl);
  return base !== null && regionOf(base) !== undefined;
}

async function fetchAs(auth: AuthKind, identity: () => Promise<AwsIdentity>): Promise<Server["fetch"]> {
  switch (auth) {
    case "none":
      return (url, init) => fetch(url, init);
    case "bearer": {
      const token = nonEmpty(process.env.PAWL_TOKEN);
      if (token !== undefined) return bearerFetch(token);
      const message = "--auth bearer sends the token in PAWL_TOKEN, and that is empty. Set it, or choose --auth none.";
      throw new PlainError(message, { exitCode: 2 });
    }
    case "iam": {
      const { credentials, region } = await identity();
      return signedFetch(credentials, region);
    }
  }
}

function bearerFetch(token: string): Server["fetch"] {
  return (url, init) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    return fetch(url, { ...init, headers });
  };
}

function parseUrl(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed;
  const message = `The URL of the server is ${JSON.stringify(url)}; allowed is http:// or https://, such as http://127.0.0.1:7070.`;
  throw new PlainError(message, { exitCode: 2 });
}

/** An empty variable is as good as none. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
