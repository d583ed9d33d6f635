import type { OpenAPIHono } from "@hono/zod-openapi";
import type { ApiOptions } from "./app.ts";
import { given } from "./given.ts";
import { answer, serve } from "./route.ts";
import {
  ForkBody,
  InterruptAnswer,
  InterruptParams,
  Purged,
  RedriveBody,
  Run,
  RunIdParams,
  SignalBody,
  SignalParams,
  StartBody,
  Started,
  WaitQuery,
} from "./schemas.ts";
import { WorkflowParams } from "./workflow-schemas.ts";

const runNow = { 202: answer(Run, "The run as it is now") } as const;

const startRoute = {
  method: "post",
  path: "/workflows/{workflow}/runs",
  operationId: "startRun",
  summary: "Start a run",
  tag: "Runs",
  params: WorkflowParams,
  body: { schema: StartBody, required: false, description: "The input of the workflow, and what is wanted of the run" },
  answers: {
    202: answer(Started, "The run was started"),
    200: answer(Run, "The run was there already, from the same start"),
  },
  errors: ["workflow_not_found", "invalid_input", "run_conflict"],
} as const;

const showRoute = {
  method: "get",
  path: "/runs/{runId}",
  operationId: "getRun",
  summary: "Show a run, or wait for its end",
  tag: "Runs",
  params: RunIdParams,
  query: WaitQuery,
  answers: { 200: answer(Run, "The run as it is") },
  errors: ["run_not_found"],
} as const;

const signalRoute = {
  method: "post",
  path: "/runs/{runId}/signals/{name}",
  operationId: "signalRun",
  summary: "Send a signal to the run, once; it is kept when its step does not wait for it yet",
  tag: "Runs",
  params: SignalParams,
  body: { schema: SignalBody, required: false, description: "The payload itself" },
  answers: runNow,
  errors: ["run_not_found", "signal_not_found", "invalid_payload", "signal_conflict", "status_conflict"],
} as const;

const answerRoute = {
  method: "post",
  path: "/runs/{runId}/interrupts/{interruptId}",
  operationId: "answerInterrupt",
  summary: "Answer what a step of the run asks, once; the step goes on with the answer",
  tag: "Runs",
  params: InterruptParams,
  body: { schema: InterruptAnswer, required: false, description: "The answer itself" },
  answers: runNow,
  errors: ["run_not_found", "interrupt_not_found", "invalid_payload", "interrupt_conflict", "status_conflict"],
} as const;

const redriveRoute = {
  method: "post",
  path: "/runs/{runId}/redrive",
  operationId: "redriveRun",
  summary:
    "Go on with a run that failed, timed out or was cancelled: what succeeded is kept, the rest and what was undone begins again; or try again to undo what could not be undone",
  tag: "Runs",
  params: RunIdParams,
  body: { schema: RedriveBody, required: false, description: "Steps that are ended by hand" },
  answers: runNow,
  errors: ["run_not_found", "status_conflict"],
} as const;

const forkRoute = {
  method: "post",
  path: "/runs/{runId}/fork",
  operationId: "forkRun",
  summary: "Start a new run that keeps what this one has done, except from a chosen step on",
  tag: "Runs",
  params: RunIdParams,
  body: { schema: ForkBody, required: true, description: "Where the new run begins anew" },
  answers: {
    202: answer(Started, "The new run was started"),
    200: answer(Run, "The new run was there already, from the same fork"),
  },
  errors: ["run_not_found", "step_not_found", "run_conflict", "status_conflict"],
} as const;

const purgeRoute = {
  method: "delete",
  path: "/runs/{runId}",
  operationId: "purgeRun",
  summary: "Delete a run that has ended, with all that is stored of it, and the runs that it started",
  tag: "Runs",
  params: RunIdParams,
  answers: { 200: answer(Purged, "It is gone") },
  errors: ["run_not_found", "status_conflict"],
} as const;

const operations = {
  cancel: "End the run, and undo first what its steps can undo; cancelling again changes nothing",
  pause: "Begin no further steps; steps in flight may end",
  resume: "Go on with a paused run",
  terminate: "End the run at once, also while it unwinds, and undo nothing",
} as const;

type Operation = keyof typeof operations;

function operationRoute(operation: Operation) {
  return {
    method: "post",
    path: `/runs/{runId}/${operation}`,
    operationId: `${operation}Run`,
    summary: operations[operation],
    tag: "Runs",
    params: RunIdParams,
    answers: runNow,
    errors: ["run_not_found", "status_conflict"],
  } as const;
}

type Options = Pick<ApiOptions, "commands" | "waitForEnd"> & { readonly stopping: AbortSignal };

export function addRunRoutes(app: OpenAPIHono, { commands, waitForEnd, stopping }: Options): void {
  serve(
    app,
    startRoute,
  )(async ({ params, body }) => {
    const { created, ...started } = await commands.start(params.workflow, given(body));
    const headers = { Location: `/runs/${started.runId}` };
    if (created) return { status: 202, body: started, headers };
    return { status: 200, body: await commands.get(started.runId), headers };
  });

  serve(
    app,
    showRoute,
  )(async ({ params: { runId }, query: { wait = 0 }, signal: gone }) => {
    if (wait === 0) return { status: 200, body: await commands.get(runId) };
    const signal = AbortSignal.any([gone, stopping]);
    return { status: 200, body: await waitForEnd(runId, { timeoutMs: wait, signal }) };
  });

  serve(
    app,
    signalRoute,
  )(async ({ params, body }) => {
    return { status: 202, body: await commands.signal(params.runId, params.name, body) };
  });

  serve(
    app,
    answerRoute,
  )(async ({ params, body }) => {
    return { status: 202, body: await commands.answer(params.runId, params.interruptId, body) };
  });

  serve(
    app,
    redriveRoute,
  )(async ({ params, body }) => {
    return { status: 202, body: await commands.redrive(params.runId, given(body)) };
  });

  serve(
    app,
    forkRoute,
  )(async ({ params, body }) => {
    const { from, ...rest } = body;
    const { created, ...started } = await commands.fork(params.runId, { from, ...given(rest) });
    const headers = { Location: `/runs/${started.runId}` };
    if (created) return { status: 202, body: started, headers };
    return { status: 200, body: await commands.get(started.runId), headers };
  });

  serve(
    app,
    purgeRoute,
  )(async ({ params: { runId } }) => {
    await commands.purge(runId);
    return { status: 200, body: { runId } };
  });

  for (const operation of Object.keys(operations) as Operation[]) {
    serve(
      app,
      operationRoute(operation),
    )(async ({ params }) => {
      return { status: 202, body: await commands[operation](params.runId) };
    });
  }
}
