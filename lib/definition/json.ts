/** What may be stored: JSON, exactly. A value that JSON would change silently is refused with the place it stands at. */
import { limits } from "./limits.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** JSON text with sorted keys: equal values give equal text, however they were put together. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : part,
  );
}

export type Serialized =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly code: "not_json" | "too_large"; readonly message: string };

/**
 * JSON text of a payload, or why it cannot be one. `undefined` properties are left out, as JSON does. `undefined`
 * itself becomes the empty text: a step may return nothing, and that is not the same as returning `null`.
 */
export function serialize(value: unknown, what: string): Serialized {
  if (value === undefined) return { ok: true, json: "" };
  let json: string;
  try {
    const fault = new JsonCheck().findFault(value, "", []);
    if (fault === tooLarge) return { ok: false, code: "too_large", message: tooLargeMessage(what, "over ") };
    if (fault !== undefined) return { ok: false, code: "not_json", message: `${what}${fault}` };
    json = JSON.stringify(value);
  } catch (error) {
    // A getter or a proxy of the user's.
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, code: "not_json", message: `${what} cannot be read: ${reason}` };
  }
  // A character takes one to three bytes: only texts near the limit need counting.
  const bytes = json.length * 3 <= limits.payloadBytes ? json.length : utf8Bytes(json);
  if (bytes > limits.payloadBytes) {
    return { ok: false, code: "too_large", message: tooLargeMessage(what, "", bytes) };
  }
  return { ok: true, json };
}

export function deserialize(json: string): unknown {
  return json === "" ? undefined : (JSON.parse(json) as unknown);
}

/** Bytes of the text in UTF-8. A lone surrogate counts as the replacement character it is stored as. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) bytes += 1;
    else if (code < 0x800) bytes += 2;
    else if (code >= 0xd800 && code <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}

/**
 * Why the value is not even looked at by a schema: one that refers to itself, as that of any JSON does, would need more
 * stack than there is. To be asked of values from outside; `serialize` says the same of what comes out in the end.
 */
export function depthFault(value: unknown, what: string): string | undefined {
  let parts = 0;
  const isTooDeep = (part: unknown, depth: number): boolean => {
    // What has too many parts to be stored has been refused for its size, or will be.
    if (!isContainer(part) || ++parts > limits.payloadBytes) return false;
    if (depth > limits.payloadDepth) return true;
    const inner = Array.isArray(part) ? part : Object.values(part);
    return inner.some((one) => isTooDeep(one, depth + 1));
  };
  return isTooDeep(value, 0) ? `${what}${tooDeep}` : undefined;
}

/** What JSON makes of brackets; other objects are for the schema. */
function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Array.isArray(value) ? null : Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

const tooDeep = ` is nested deeper than ${limits.payloadDepth} levels; flatten it.`;

function tooLargeMessage(what: string, over: string, bytes: number = limits.payloadBytes): string {
  return `${what} is ${over}${bytes} bytes as JSON; at most ${limits.payloadBytes} are allowed. Store large data elsewhere and pass a reference.`;
}

/** Stands for a value with more parts than its JSON may have bytes. */
const tooLarge = Symbol("too large");

/** Looks for the first part that JSON cannot carry, and says the rest of the sentence "<what> …" about it. */
class JsonCheck {
  /** A part that is referred to from many places counts each time, as it would be written each time. */
  #parts = 0;

  findFault(value: unknown, path: string, parents: readonly object[]): string | typeof tooLarge | undefined {
    this.#parts++;
    if (this.#parts > limits.payloadBytes) return tooLarge;
    switch (typeof value) {
      case "string":
      case "boolean":
        return undefined;
      case "undefined":
        // As a property it is left out, as JSON does; as an element of an array it has been refused.
        return undefined;
      case "number":
        return Number.isFinite(value)
          ? undefined
          : `${path} is ${value}; JSON has only finite numbers. Use null or a string.`;
      case "bigint":
        return `${path} is a bigint; JSON has none. Convert it with String(value).`;
      case "function":
      case "symbol":
        return `${path} is a ${typeof value}; only JSON values can be stored.`;
      case "object":
        return value === null ? undefined : this.#inObject(value, path, parents);
    }
  }

  #inObject(value: object, path: string, parents: readonly object[]): string | typeof tooLarge | undefined {
    if (parents.length > limits.payloadDepth) return tooDeep;
    if (parents.includes(value)) return `${path} refers back to itself; JSON has no cycles.`;
    const inner = [...parents, value];
    const [symbol] = Object.getOwnPropertySymbols(value);
    if (symbol !== undefined) return `${path} has a symbol as a key, ${String(symbol)}; JSON has only text.`;
    if ("toJSON" in value && typeof value.toJSON === "function" && !(value instanceof Date)) {
      return `${path}.toJSON is a function; only JSON values can be stored.`;
    }
    if (Array.isArray(value)) return this.#inArray(value, path, inner);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      const remedy = value instanceof Date ? "Use toISOString()." : "Return a plain object or array.";
      return `${path} is a ${kindOf(value)}; only JSON values can be stored. ${remedy}`;
    }
    for (const [key, part] of Object.entries(value)) {
      const fault = this.findFault(part, `${path}.${key}`, inner);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #inArray(value: readonly unknown[], path: string, inner: readonly object[]): string | typeof tooLarge | undefined {
    for (let i = 0; i < value.length; i++) {
      const at = `${path}[${i}]`;
      const fault =
        value[i] === undefined ? `${at} is undefined inside an array; use null.` : this.findFault(value[i], at, inner);
      if (fault !== undefined) return fault;
    }
    const extra = Object.keys(value).find((key, index) => key !== String(index));
    return extra === undefined ? undefined : `${path} is an array with a property "${extra}"; JSON has only elements.`;
  }
}

/** The class of an object, or what it says that it is. */
function kindOf(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return tag === "Object" ? (typeof constructor === "function" ? constructor.name : "object with a prototype") : tag;
}
