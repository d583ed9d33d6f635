/**
 * How AWS rounds what it bills.
 *
 * Sources: Amazon DynamoDB developer guide, "DynamoDB item sizes and formats", "DynamoDB read and write operations", "Using
 * global secondary indexes"; Amazon SQS pricing (each 64 KB is a request).
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";

export type Item = Readonly<Record<string, AttributeValue>>;

const writeUnitBytes = 1024;
const readUnitBytes = 4 * 1024;
const chunkBytes = 64 * 1024;

/** Names and values of all attributes. (Storage has 100 bytes more; writes and reads have not.) */
export function itemBytes(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + utf8(name) + valueBytes(value), 0);
}

function valueBytes(value: AttributeValue): number {
  if (value.S !== undefined) return utf8(value.S);
  if (value.N !== undefined) return numberBytes(value.N);
  if (value.SS !== undefined) return value.SS.reduce((sum, text) => sum + utf8(text), 0);
  if (value.BOOL !== undefined || value.NULL !== undefined) return 1;
  throw new TypeError(
    `Of an attribute ${JSON.stringify(value)} nobody here knows the size; Pawl stores texts, numbers and sets of texts.`,
  );
}

function utf8(text: string): number {
  return Buffer.byteLength(text);
}

/**
 * Of the digits between the zeros at both ends, each two are a byte, in pairs that begin at the decimal point; there is one
 * byte more, and one for a sign.
 */
function numberBytes(text: string): number {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${fraction}`;
  const first = digits.search(/[1-9]/);
  if (first === -1) return 1;
  const last = digits.replace(/0+$/, "").length;
  // Of the first one: 0 for units, 1 for tens.
  const place = whole.length - 1 - first + Number(exponent);
  const count = last - first;
  const isAcrossPairs = count % 2 === 0 && place % 2 === 0;
  return 1 + Math.ceil(count / 2) + (isAcrossPairs ? 1 : 0) + sign.length;
}

/** @param bytes of the item, as it is larger: before the write or after it; of a refused write, as it is */
export function writeUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / writeUnitBytes));
}

/** @param bytes of the item, or of all items that a query reads together; 0 when there is none */
export function readUnits(bytes: number, isConsistent = true): number {
  return Math.max(1, Math.ceil(bytes / readUnitBytes)) * (isConsistent ? 1 : 0.5);
}

/**
 * What a write of an item costs in an index: nothing while its entry stays as it is, one entry written, deleted or changed
 * beside its key, and both when the entry moves.
 *
 * @param before the entry as the index has it; `undefined` when it has none
 * @param keys names of the attributes that say where in the index the entry is
 */
export function indexWriteUnits(before: Item | undefined, after: Item | undefined, keys: readonly string[]): number {
  const [left, written] = [before, after].map((entry) => (entry === undefined ? 0 : writeUnits(itemBytes(entry))));
  if (before === undefined || after === undefined) return (left ?? 0) + (written ?? 0);
  const isSame = (names: readonly string[]): boolean =>
    names.every((name) => JSON.stringify(before[name]) === JSON.stringify(after[name]));
  if (!isSame(keys)) return (left ?? 0) + (written ?? 0);
  const isUnchanged = isSame([...new Set([...Object.keys(before), ...Object.keys(after)])]);
  return isUnchanged ? 0 : Math.max(left ?? 0, written ?? 0);
}

/** SQS requests that a message or a batch is; events on a bus, too. */
export function chunks(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / chunkBytes));
}
