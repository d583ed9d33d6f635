/**
 * Payloads and graphs: texts that are written once. One above a size has an item that tells of it, and its parts beside
 * it, so that who reads the run reads its size only, and no text is too large for an item.
 *
 * Invariants:
 * 1. The first item that tells of a text counts, whoever writes others at the same time.
 * 2. Parts are stored before the item that tells of them, under the hash of the text: writers of different texts do not meet.
 */
import { createHash } from "node:crypto";
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { batchGet } from "./batch-get.ts";
import { putOnceRequest } from "./dynamo-requests.ts";
import { type ItemKey, itemKey } from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

/** What the item of a text says of it: all, or where the parts are. */
export type StoredText =
  | { readonly text: string }
  | { readonly bytes: number; readonly hash: string; readonly parts: number };

export class DynamoTexts {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** @param wholeBytes up to so many bytes the text is one item */
  async put(key: ItemKey, text: string, wholeBytes: number): Promise<void> {
    const utf8 = Buffer.from(text);
    if (utf8.length <= wholeBytes) return this.#putOnce(key, { text });
    const hash = createHash("sha256").update(utf8).digest("base64url");
    const parts = splitText(utf8, limits.itemPayloadBytes);
    await settleAll(parts.map((part, number) => this.#putOnce(itemKey.part(key, hash, number), { text: part })));
    await this.#putOnce(key, { bytes: utf8.length, hash, parts: parts.length });
  }

  /** The texts found, by sort key. All keys are of one partition. */
  async get(keys: readonly ItemKey[]): Promise<Map<string, string>> {
    const items = await this.#batchGet(keys);
    const found = keys.flatMap((key) => {
      const item = items.get(key.sk);
      return item === undefined ? [] : [{ key, stored: readText(item) }];
    });
    const wanted = found.flatMap(({ key, stored }) => partKeys(key, stored));
    const parts = wanted.length === 0 ? new Map<string, Item>() : await this.#batchGet(wanted);
    return new Map(
      found.map(({ key, stored }) => {
        if ("text" in stored) return [key.sk, stored.text];
        const text = partKeys(key, stored).map(({ sk }) => parts.get(sk)?.text?.S ?? "");
        return [key.sk, whole(key, stored.bytes, text.join(""))];
      }),
    );
  }

  /** Notes that there is such a workflow. */
  putName(key: ItemKey): Promise<void> {
    return this.#putOnce(key, {});
  }

  async #putOnce(key: ItemKey, attributes: Readonly<Record<string, string | number>>): Promise<void> {
    try {
      await this.#client.send(new PutItemCommand(putOnceRequest(this.#table, key, attributes)));
    } catch (error) {
      // Another was first; or this very write, whose answer was lost.
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    }
  }

  async #batchGet(keys: readonly ItemKey[]): Promise<Map<string, Item>> {
    const distinct = [...new Map(keys.map((key) => [key.sk, key])).values()];
    const items = await batchGet(this.#client, this.#table, distinct);
    return new Map(items.map((item) => [item.sk?.S ?? "", item]));
  }
}

export function readText(item: Item): StoredText {
  const { text, bytes, hash, parts } = item;
  if (text?.S !== undefined) return { text: text.S };
  if (bytes?.N !== undefined && hash?.S !== undefined && parts?.N !== undefined) {
    return { bytes: Number(bytes.N), hash: hash.S, parts: Number(parts.N) };
  }
  throw new StoredShapeError(`Item ${item.pk?.S} ${item.sk?.S}`, "it is no text");
}

/** Parts of at most so many bytes. None ends within a character: it could not be stored as text. */
export function splitText(utf8: Buffer, partBytes: number): string[] {
  const parts: string[] = [];
  for (let from = 0; from < utf8.length; ) {
    let to = Math.min(from + partBytes, utf8.length);
    while (to < utf8.length && ((utf8[to] ?? 0) & 0xc0) === 0x80) to--;
    parts.push(utf8.toString("utf8", from, to));
    from = to;
  }
  return parts;
}

function partKeys(key: ItemKey, stored: StoredText): ItemKey[] {
  if ("text" in stored) return [];
  return Array.from({ length: stored.parts }, (_, number) => itemKey.part(key, stored.hash, number));
}

function whole(key: ItemKey, bytes: number, text: string): string {
  const found = Buffer.byteLength(text);
  if (found === bytes) return text;
  throw new StoredShapeError(`The text at ${key.pk} ${key.sk}`, `${bytes} bytes were stored, ${found} are there`);
}
