/** Large payloads as objects of one bucket. A blob is written once: objects are never replaced, so they need no versions. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
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
    async removeAll(runId) {
      for (;;) {
        const { Contents = [], IsTruncated = false } = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: objectKey(`${runId}/`),
            MaxKeys: limits.objectsPerDelete,
          }),
        );
        const objects = Contents.flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
        if (objects.length === 0) return;
        const { Errors = [] } = await client.send(
          new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } }),
        );
        const [first] = Errors;
        if (first !== undefined) {
          throw new Error(
            `S3 did not delete ${Errors.length} of ${objects.length} blobs of run ${runId} in bucket ${bucket}: ${first.Code} ${first.Message ?? ""}`,
          );
        }
        if (!IsTruncated) return;
      }
    },
  };
}

const conflictPauseMs = 50;

/** S3 takes 1,024 bytes. */
const keyBytes = 1024;

/** Of these, some are left for what comes behind the run's part. */
const runKeyBytes = 900;

/**
 * Letters, digits, `/`, `_`, `~`, `-` and `:` as they are, every other byte as `=` and two digits: no `..` for a proxy to
 * resolve. What is too long ends in `==` and a hash of all of it: the part before the first `/` by itself, so that blobs
 * of one run, and of no other, begin alike.
 */
export function objectKey(key: string): string {
  const slash = key.indexOf("/");
  if (slash === -1) return shortened(safe(key), key, keyBytes);
  const run = shortened(safe(key.slice(0, slash)), key.slice(0, slash), runKeyBytes);
  return shortened(`${run}${safe(key.slice(slash))}`, key, keyBytes);
}

function safe(text: string): string {
  return text.replace(/[^\w/~:-]+/g, (part) =>
    Array.from(Buffer.from(part), (byte) => `=${byte.toString(16).padStart(2, "0")}`).join(""),
  );
}

function shortened(text: string, whole: string, bytes: number): string {
  if (text.length <= bytes) return text;
  const hash = createHash("sha256").update(whole).digest("base64url");
  return `${text.slice(0, bytes - hash.length - 2)}==${hash}`;
}
