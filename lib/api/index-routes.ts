/** The routes about the API itself. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { withoutToken } from "../runtime/task-token.ts";
import { ApiError } from "./api-error.ts";
import { json } from "./describe.ts";
import { Health, Index } from "./schemas.ts";

const indexRoute = createRoute({
  method: "get",
  path: "/",
  operationId: "getIndex",
  summary: "List the routes",
  responses: { 200: json(Index, "The routes") },
});

const healthRoute = createRoute({
  method: "get",
  path: "/healthz",
  operationId: "getHealth",
  summary: "Tell that the server answers",
  responses: { 200: json(Health, "It answers") },
});

const openapiPath = "/openapi.json";

export function addIndexRoutes(app: OpenAPIHono): void {
  app.openapi(indexRoute, (c) => c.json({ name: "pawl" as const, openapi: openapiPath, routes: routesOf(app) }, 200));
  app.openapi(healthRoute, (c) => c.json({ status: "ok" as const }, 200));
  app.get(openapiPath, (c) => c.json(describeApi(app), 200));
}

/** Hono knows no 405: whatever else is asked of a known path is answered here. To be called after all routes are there. */
export function refuseOtherMethods(app: OpenAPIHono): void {
  const methodsOf = new Map<string, string[]>();
  for (const { method, path } of app.routes) {
    if (method !== "ALL") methodsOf.set(path, [...new Set([...(methodsOf.get(path) ?? []), method])]);
  }
  for (const [path, methods] of methodsOf) {
    app.all(path, (c) => {
      const allowed = methods.join(", ");
      const message = `${c.req.method} ${withoutToken(c.req.path).slice(0, 200)} is not possible; this path takes ${allowed}.`;
      throw new ApiError("method_not_allowed", message, { details: { allowed: methods }, headers: { Allow: allowed } });
    });
  }
}

function routesOf(app: OpenAPIHono): string[] {
  const described = Object.entries(describeApi(app).paths ?? {});
  const routes = described.flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  return [...routes, `GET ${openapiPath}`];
}

function describeApi(app: OpenAPIHono): ReturnType<OpenAPIHono["getOpenAPI31Document"]> {
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Pawl", version: "1", description: "Start, watch and steer runs of workflows." },
  });
}
