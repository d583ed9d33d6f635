/** The API as an OpenAPI 3.1 document, made of its routes. */
import type { OpenAPIHono } from "@hono/zod-openapi";

type Document = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

const documents = new WeakMap<OpenAPIHono, Document>();

/** To be called after all routes are there. Made once: some ten milliseconds of work. */
export function describeApi(app: OpenAPIHono): Document {
  const known = documents.get(app);
  if (known !== undefined) return known;
  const { components, ...document } = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Pawl",
      version: "1",
      license: { name: "MIT", url: "https://opensource.org/license/mit" },
      description:
        "Start, watch, find and steer runs of workflows. Every error has the shape of the schema Error; what a server or a gateway in front of the API refuses by itself (header fields that are too large, a missing signature) is not listed with each route.",
    },
    servers: [{ url: "/", description: "The server that this document comes from" }],
    tags: [...tags],
    security: [{ sigv4: [] }, { bearer: [] }, {}],
  });
  const made: Document = { ...document, components: { ...components, securitySchemes } };
  documents.set(app, made);
  return made;
}

const tags = [
  { name: "Runs", description: "Start runs, look at them, and change them." },
  { name: "Finding", description: "Lists, statistics and failures." },
  { name: "Bulk operations", description: "What is done to many runs at once." },
  { name: "Callbacks", description: "For those who hold task tokens." },
  { name: "Workflows", description: "What is served." },
  { name: "About", description: "The API itself." },
] as const;

const securitySchemes: NonNullable<NonNullable<Document["components"]>["securitySchemes"]> = {
  sigv4: {
    type: "apiKey",
    in: "header",
    name: "Authorization",
    description:
      "AWS Signature Version 4 for the service `execute-api`, with credentials that may do `execute-api:Invoke`: the default of a deployed stack.",
    "x-amazon-apigateway-authtype": "awsSigv4",
  },
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "Of a stack whose API has a JWT authorizer. The local server asks for nothing.",
  },
};
