// Every answer of a test is held against the document: its status is one of its route's, and its body has the schema of
// that status, with nothing beside it.
import type { z } from "@hono/zod-openapi";
import { expect } from "vitest";
import type { Api } from "../../lib/api/app.ts";
import { ErrorAnswer } from "../../lib/api/schemas.ts";

interface Described {
  readonly method: string;
  readonly pattern: RegExp;
  readonly byStatus: ReadonlyMap<number, z.ZodType>;
}

/** Holds an answer to this request against what its route describes. */
export type Documented = (method: string, path: string, status: number, body: unknown) => void;

export function documented(api: Api): Documented {
  const routes = api.openAPIRegistry.definitions.flatMap((definition): Described[] => {
    if (definition.type !== "route") return [];
    const { method, path, responses } = definition.route;
    const schemas = Object.entries(responses).map(([status, response]): [number, z.ZodType] => [
      Number(status),
      (response as { content: Record<string, { schema: z.ZodType }> }).content["application/json"]!.schema,
    ]);
    return [{ method, pattern: patternOf(path), byStatus: new Map(schemas) }];
  });
  return (method, path, status, body) => {
    const [pathname = ""] = path.split("?");
    const here = routes.filter(({ pattern }) => pattern.test(pathname));
    const route = here.find((one) => one.method === (method === "HEAD" ? "get" : method.toLowerCase()));
    if (route === undefined) {
      // Outside of the routes there are only errors.
      expect(ErrorAnswer.parse(body), `${method} ${path}`).toEqual(body);
      if (status < 500 && status !== 400 && status !== 414) expect(status).toBe(here.length > 0 ? 405 : 404);
      return;
    }
    const schema = route.byStatus.get(status);
    expect(
      schema,
      `${method} ${path} answered ${status} ${JSON.stringify(body)}, which is not documented`,
    ).toBeDefined();
    // What a schema does not know is cut off by it.
    expect(schema!.parse(body), `${method} ${path} ${status}`).toEqual(body);
  };
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`);
}
