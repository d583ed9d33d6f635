/** Large payloads as objects of one bucket. A blob is written once: objects are never replaced, so they need no versions. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, NoSuchKey, PutObjectCommand, type S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { limits } from "../definition/limits.ts";
import type { BlobStore } from "../runtime/ports.ts";

export interface S3BlobsOptions {
  readonly client: S3Client;
  /** Name of the bucket. */
  readonly bucket: string;
}

export function createS3Blobs({ client, bucket }: S3BlobsOptions): BlobStore {
  return {
    async put(key, text) {
      for (let tries = 1; ; tries++) {
        try {
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: objectKey(key),
              Body: Buffer.from(text),
              ContentType: "application/json",
              IfNoneMatch: "*",
            }),
          );
          return;
        } catch (error) {
          const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
          // It is there already: a key has one content only.
          if (status === 412) return;
          // Another is just writing it, and S3 does not tell yet whether that succeeds.
          if (status !== 409 || tries === limits.blobTries) throw error;
          await sleep(Math.random() * conflictPauseMs * 2 ** tries);
        }
      }
    },
    async get(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: objectKey(key) }));
        // An empty object has a body, too; none at all would be a fault of the SDK.
        return await Body?.transformToString();
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    },
  };
}

const conflictPauseMs = 50;

/** S3 takes 1,024 bytes. */
const keyBytes = 1024;

/**
 * Letters, digits, `/`, `_`, `~`, `-` and `:` as they are, every other byte as `=` and two digits: no `..` for a proxy to
 * resolve. What is too long ends in `==` and a hash of all of it, so that keys of one run keep their common beginning.
 */
export function objectKey(key: string): string {
  const safe = key.replace(/[^\w/~:-]+/g, (text) =>
    Array.from(Buffer.from(text), (byte) => `=${byte.toString(16).padStart(2, "0")}`).join(""),
  );
  if (safe.length <= keyBytes) return safe;
  const hash = createHash("sha256").update(key).digest("base64url");
  return `${safe.slice(0, keyBytes - hash.length - 2)}==${hash}`;
}
