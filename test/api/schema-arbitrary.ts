// Values that fit a JSON Schema, as far as the document of the API uses it.
import * as fc from "fast-check";

export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly example?: unknown;
}

/** @param components what references lead to */
export function fitting(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): fc.Arbitrary<unknown> {
  const fit = (one: JsonSchema): fc.Arbitrary<unknown> => {
    const value = bare(one, fit, components);
    return one.example === undefined ? value : fc.oneof(fc.constant(one.example), value);
  };
  return fit(schema);
}

function bare(
  schema: JsonSchema,
  fit: (schema: JsonSchema) => fc.Arbitrary<unknown>,
  components: Readonly<Record<string, JsonSchema>>,
): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const found = components[schema.$ref.split("/").at(-1)!];
    if (found === undefined) throw new TypeError(`${schema.$ref} leads nowhere`);
    return fit(found);
  }
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(fit));
  if (schema.allOf !== undefined) {
    return fc.tuple(...schema.allOf.map(fit)).map((parts) => Object.assign({}, ...(parts as object[])) as unknown);
  }
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? ["any"]);
  return fc.oneof(...types.map((type) => ofType(type, schema, fit)));
}

function ofType(
  type: string,
  schema: JsonSchema,
  fit: (schema: JsonSchema) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  switch (type) {
    case "string":
      return text(schema);
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1_000, max: schema.maximum ?? 100_000 });
    case "number":
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(fit(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: 5 });
    case "object":
      return object(schema, fit);
    case "any":
      return fc.jsonValue({ maxDepth: 3 });
    default:
      throw new TypeError(`The type ${type} is not known`);
  }
}

function text({ pattern, minLength = 0, maxLength = 40 }: JsonSchema): fc.Arbitrary<string> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: "small" });
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) });
}

function object(
  { properties = {}, required = [], additionalProperties }: JsonSchema,
  fit: (schema: JsonSchema) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  const known = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, fit(property)])),
    { requiredKeys: [...required], noNullPrototype: true },
  );
  if (typeof additionalProperties !== "object") return known;
  const more = fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), fit(additionalProperties), { maxKeys: 4 });
  return fc.tuple(known, more).map(([one, other]) => ({ ...other, ...one }));
}
