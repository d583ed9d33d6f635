// Requests signed as AWS asks for (Signature Version 4), for what no SDK speaks: one's own HTTP API, and IAM's.
import { createHash, createHmac } from "node:crypto";
import { region } from "./permissions.ts";

export interface SignedRequest {
  readonly service: string;
  readonly method: string;
  readonly url: string;
  readonly contentType?: string;
  /** Names the operation, for services that speak JSON. */
  readonly target?: string;
  readonly body?: string;
}

const credentials = { id: "test", secret: "test" };

export async function signedFetch({
  service,
  method,
  url,
  contentType,
  target,
  body,
}: SignedRequest): Promise<Response> {
  const { host, pathname, searchParams } = new URL(url);
  const time = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
  const headers: Readonly<Record<string, string>> = {
    ...(contentType === undefined ? {} : { "content-type": contentType }),
    host,
    "x-amz-date": time,
    ...(target === undefined ? {} : { "x-amz-target": target }),
  };
  const names = Object.keys(headers).join(";");
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  searchParams.sort();
  // A path is encoded twice: as it stands in the URL, and again for the signature.
  const path = pathname.split("/").map(encodeURIComponent).join("/");
  const canonical = [method, path, searchParams, lines.join(""), names, sha256(body ?? "")].join("\n");
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${credentials.secret}`);
  const signature = hmac(key, toSign).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.id}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return fetch(url, { method, headers: { ...headers, authorization }, ...(body === undefined ? {} : { body }) });
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
