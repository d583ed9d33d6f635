/** From a transition to DynamoDB's expressions: placeholders for every name and value, each given once. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { Condition, Transition } from "../engine/transition.ts";
import { attributeOf } from "./table.ts";

/** Bytes that DynamoDB takes of one expression. All of ours are ASCII. */
const expressionBytes = 4096;

/** What it takes of comparisons, functions and the words between them. What `SET` assigns is none of these. */
const expressionOperators = 300;

export function fitsExpression(text: string | undefined): boolean {
  if (text === undefined) return true;
  const operators = text.startsWith("SET ") ? [] : (text.match(/=|<| IN \(| AND | OR |attribute_/g) ?? []);
  return text.length <= expressionBytes && operators.length <= expressionOperators;
}

/** The expressions of one request share names and values: what is asked and set alike is sent once. */
export class Placeholders {
  readonly #names = new Map<string, string>();
  readonly #values = new Map<string, { readonly placeholder: string; readonly value: AttributeValue }>();

  name(attribute: string): string {
    const known = this.#names.get(attribute);
    if (known !== undefined) return known;
    const placeholder = `#${this.#names.size.toString(36)}`;
    this.#names.set(attribute, placeholder);
    return placeholder;
  }

  value(value: string | number): string {
    const key = `${typeof value}${value}`;
    const known = this.#values.get(key);
    if (known !== undefined) return known.placeholder;
    const placeholder = `:${this.#values.size.toString(36)}`;
    this.#values.set(key, { placeholder, value: attributeValue(value) });
    return placeholder;
  }

  /** Absent when empty: DynamoDB refuses empty maps. */
  toRequest(): {
    readonly ExpressionAttributeNames?: Record<string, string>;
    readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
  } {
    const names = [...this.#names].map(([attribute, placeholder]) => [placeholder, attribute] as const);
    const values = [...this.#values.values()].map(({ placeholder, value }) => [placeholder, value] as const);
    return {
      ...(names.length === 0 ? {} : { ExpressionAttributeNames: Object.fromEntries(names) }),
      ...(values.length === 0 ? {} : { ExpressionAttributeValues: Object.fromEntries(values) }),
    };
  }
}

/** @throws {RangeError} for numbers that are none to DynamoDB */
export function attributeValue(value: string | number): AttributeValue {
  if (typeof value === "string") return { S: value };
  if (Number.isFinite(value)) return { N: String(value) };
  throw new RangeError(`A field would become ${value}. Fields hold text or finite numbers; fix the transition.`);
}

/** All must hold; `undefined` when nothing is asked. */
export function conditionExpression(guard: Transition["guard"], placeholders: Placeholders): string | undefined {
  const parts = guard.map((condition) => conditionPart(condition, placeholders));
  return parts.length === 0 ? undefined : parts.join(" AND ");
}

function conditionPart(condition: Condition, placeholders: Placeholders): string {
  const name = placeholders.name(attributeOf(condition.field));
  switch (condition.is) {
    case "absent":
      return `attribute_not_exists(${name})`;
    case "equal":
      return `${name}=${placeholders.value(condition.value)}`;
    case "oneOf": {
      // One of none never holds, and DynamoDB knows no empty list.
      if (condition.values.length === 0) return `attribute_exists(${name}) AND attribute_not_exists(${name})`;
      return `${name} IN (${condition.values.map((value) => placeholders.value(value)).join(",")})`;
    }
    case "below":
      return `(attribute_not_exists(${name}) OR ${name}<${placeholders.value(condition.value)})`;
  }
}

/** @param also attributes that are no fields, set beside them. `undefined`: nothing changes */
export function updateExpression(
  { set, remove = [], add = {} }: Transition,
  also: Readonly<Record<string, string>>,
  placeholders: Placeholders,
): string | undefined {
  // A transition adds to what was there, removes, and sets, in this precedence; DynamoDB takes each attribute only once.
  const added = new Map(Object.entries(add));
  const removed = new Set(remove.filter((field) => !added.has(field)));
  const values = [
    ...Object.entries(set)
      .filter(([field]) => !added.has(field) && !removed.has(field))
      .map(([field, value]) => [attributeOf(field), value] as const),
    ...Object.entries(also),
  ];
  const name = (field: string): string => placeholders.name(attributeOf(field));
  const clauses = [
    clause("SET", values, ([attribute, value]) => `${placeholders.name(attribute)}=${placeholders.value(value)}`),
    clause("REMOVE", [...removed], name),
    clause("ADD", [...added], ([field, amount]) => `${name(field)} ${placeholders.value(amount)}`),
  ];
  const expression = clauses.filter((text) => text !== "").join(" ");
  return expression === "" ? undefined : expression;
}

function clause<T>(keyword: string, parts: readonly T[], text: (part: T) => string): string {
  return parts.length === 0 ? "" : `${keyword} ${parts.map(text).join(",")}`;
}
