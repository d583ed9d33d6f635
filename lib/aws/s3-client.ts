/** The SDK's client for blobs. It is by far the largest, and most processes never meet a blob: load it when one does. */
import process from "node:process";
import { S3Client } from "@aws-sdk/client-s3";
import { limits } from "../definition/limits.ts";
import { bounded } from "./bounded.ts";

export function createS3Client(): S3Client {
  return new S3Client({
    ...bounded(limits.blobTries, limits.blobRequestMs),
    // An endpoint of one's own, as an emulator's, has no host name for each bucket.
    forcePathStyle: [process.env.AWS_ENDPOINT_URL, process.env.AWS_ENDPOINT_URL_S3].some((url) => url !== undefined),
  });
}
