/** Requests signed with AWS credentials (Signature Version 4), as an HTTP API with IAM asks for. */
import { createHash, createHmac } from "node:crypto";
import type { SignatureV4 } from "@smithy/signature-v4";

/** What is sent, and by whom: as of the global `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/**
 * Signs each request for API Gateway, then sends it. The code that signs is loaded with the first.
 *
 * @param fetch what sends it. @default the global one
 */
export function signedFetch(
  credentials: () => Promise<Credentials>,
  region: string,
  fetch: Fetch = globalThis.fetch,
): Fetch {
  const load = async (): Promise<SignatureV4> => {
    const { SignatureV4 } = await import("@smithy/signature-v4");
    return new SignatureV4({ service: "execute-api", region, credentials, sha256: Sha256 });
  };
  let loading: Promise<SignatureV4> | undefined;
  return async (url, init) => {
    const { protocol, host, hostname, port, pathname, searchParams } = new URL(url);
    const signed = await (await (loading ??= load())).sign({
      method: init.method ?? "GET",
      protocol,
      hostname,
      ...(port === "" ? {} : { port: Number(port) }),
      path: pathname,
      query: queryOf(searchParams),
      headers: { ...Object.fromEntries(new Headers(init.headers)), host },
      ...(typeof init.body === "string" ? { body: init.body } : {}),
    });
    // fetch names the host by itself.
    const { host: _host, ...headers } = signed.headers;
    return fetch(url, { ...init, headers });
  };
}

/** Of an API of API Gateway under its own name, which asks for signed requests unless its stack says otherwise. */
export function regionOf({ hostname }: URL): string | undefined {
  return /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(hostname)?.[1];
}

function queryOf(searchParams: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => {
      const values = searchParams.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? "") : values];
    }),
  );
}

type Source = string | ArrayBuffer | ArrayBufferView;

type Hashing = Pick<ReturnType<typeof createHash>, "update" | "digest"> | ReturnType<typeof createHmac>;

/** The hash that the signer asks for, by Node's own. */
class Sha256 {
  readonly #secret: Source | undefined;
  #hash: Hashing;

  constructor(secret?: Source) {
    this.#secret = secret;
    this.#hash = this.#begin();
  }

  update(data: Source): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#begin();
  }

  #begin(): Hashing {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(this.#secret));
  }
}

function bytesOf(data: Source): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data);
}
