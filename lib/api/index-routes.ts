/** The routes about the API itself. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { withoutToken } from "../runtime/task-token.ts";
import { ApiError } from "./api-error.ts";
import { describeApi } from "./describe-api.ts";
import { answer, serve } from "./route.ts";
import { Health, Index, OpenApiDocument } from "./schemas.ts";

const indexRoute = {
  method: "get",
  path: "/",
  operationId: "getIndex",
  summary: "List the routes",
  tag: "About",
  answers: { 200: answer(Index, "The routes") },
  errors: [],
} as const;

const healthRoute = {
  method: "get",
  path: "/healthz",
  operationId: "getHealth",
  summary: "Tell that the server answers",
  tag: "About",
  answers: { 200: answer(Health, "It answers") },
  errors: [],
} as const;

const documentRoute = {
  method: "get",
  path: "/openapi.json",
  operationId: "getOpenApi",
  summary: "Describe the API",
  tag: "About",
  answers: { 200: answer(OpenApiDocument, "This document") },
  errors: [],
} as const;

export function addIndexRoutes(app: OpenAPIHono): void {
  serve(
    app,
    indexRoute,
  )(() => ({
    status: 200,
    body: { name: "pawl", openapi: documentRoute.path, routes: routesOf(app) },
  }));
  serve(app, healthRoute)(() => ({ status: 200, body: { status: "ok" } }));
  serve(app, documentRoute)(() => ({ status: 200, body: { ...describeApi(app), info: { ...describeApi(app).info } } }));
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
      const message = `${c.req.method.slice(0, 50)} ${withoutToken(c.req.path).slice(0, 200)} is not possible; this path takes ${allowed}.`;
      throw new ApiError("method_not_allowed", message, { details: { allowed: methods }, headers: { Allow: allowed } });
    });
  }
}

function routesOf(app: OpenAPIHono): string[] {
  return Object.entries(describeApi(app).paths ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}
