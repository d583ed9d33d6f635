// Hunts a fault of S3 that loses a blob, or a key that leads to another's.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createS3Blobs, objectKey } from "../../lib/aws/s3-blobs.ts";
import { createS3Client } from "../../lib/aws/s3-client.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type Answer, scriptedEndpoint } from "./scripted-endpoint.ts";

const failure = (status: number, code: string): Answer => ({ status, xml: `<Error><Code>${code}</Code></Error>` });
const stored: Answer = { status: 200, xml: "" };

async function blobsAgainst(...answers: readonly Answer[]) {
  const asked = await scriptedEndpoint(...answers);
  return { asked, blobs: createS3Blobs({ client: createS3Client(), bucket: "bucket" }) };
}

describe("a blob", () => {
  test("is written unless it is there", async () => {
    const { asked, blobs } = await blobsAgainst(stored);
    await blobs.put("run/hash", "[1]");
    expect(asked).toMatchObject([{ method: "PUT", headers: { "if-none-match": "*" } }]);
    expect(asked[0]?.path).toMatch(/^\/bucket\/run\/hash/);
  });

  test("that is there already, also by a try whose answer was lost, is as good as written", async () => {
    const { asked, blobs } = await blobsAgainst("reset", failure(412, "PreconditionFailed"));
    await blobs.put("run/hash", "[1]");
    expect(asked).toHaveLength(2);
  });

  test("that another is just writing is written again", async () => {
    const { asked, blobs } = await blobsAgainst(failure(409, "ConditionalRequestConflict"), stored);
    await blobs.put("run/hash", "[1]");
    expect(asked).toHaveLength(2);
  });

  test("that cannot be written is an error after so many tries", async () => {
    const conflict = await blobsAgainst(failure(409, "ConditionalRequestConflict"));
    await expect(conflict.blobs.put("run/hash", "[1]")).rejects.toMatchObject({ name: "ConditionalRequestConflict" });
    expect(conflict.asked).toHaveLength(limits.blobTries);
    const broken = await blobsAgainst(failure(503, "ServiceUnavailable"));
    await expect(broken.blobs.put("run/hash", "[1]")).rejects.toThrow();
    expect(broken.asked).toHaveLength(limits.blobTries);
    const denied = await blobsAgainst(failure(403, "AccessDenied"));
    await expect(denied.blobs.put("run/hash", "[1]")).rejects.toMatchObject({ name: "AccessDenied" });
    expect(denied.asked).toHaveLength(1);
  });

  test("that is not there is undefined, and one that may not be read is an error", async () => {
    const none = await blobsAgainst(failure(404, "NoSuchKey"));
    expect(await none.blobs.get("run/hash")).toBeUndefined();
    const denied = await blobsAgainst(failure(403, "AccessDenied"));
    await expect(denied.blobs.get("run/hash")).rejects.toMatchObject({ name: "AccessDenied" });
  });
});

describe("the key of an object", () => {
  test("is the blob's, with what may mean something on the way spelled out", () => {
    expect(objectKey("order-1~ship/aB_-")).toBe("order-1~ship/aB_-");
    expect(objectKey("daily-2026-11-21T06:00:00Z/h")).toBe("daily-2026-11-21T06:00:00Z/h");
    expect(objectKey("../a b/=ü")).toBe("=2e=2e/a=20b/=3d=c3=bc");
  });

  test("fits S3, differs when the blob's does, and keeps the beginning that keys of one run share", () => {
    const long = "x".repeat(limits.derivedRunIdLength - 1);
    const keys = [`${long}a/hash1`, `${long}a/hash2`, `${long}b/hash1`, "x"].map(objectKey);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key.length).toBeLessThanOrEqual(1024);
    expect(keys[0]?.slice(0, 900)).toBe(keys[1]?.slice(0, 900));
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        fc.pre(one.isWellFormed() && other.isWellFormed());
        expect(objectKey(one) === objectKey(other)).toBe(one === other);
        expect(objectKey(one)).toMatch(/^[\w/~:=-]*$/);
      }),
    );
  });
});
