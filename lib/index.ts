/** Pawl: typed, durable workflows. */

export type { ChildOptions } from "./definition/child.ts";
export type { Duration } from "./definition/duration.ts";
export { DefinitionError, type DefinitionFault, FatalError, RetryableError } from "./definition/errors.ts";
export type { ConcurrencyOptions, RateLimitOptions, RateOptions } from "./definition/flow.ts";
export type { EachOptions, ItemContext, ItemError, MapOptions, MapResults, MapSummary } from "./definition/map.ts";
export type { BackoffOptions, RetryOptions } from "./definition/retry.ts";
export type { Schedule, ScheduleOptions } from "./definition/schedule.ts";
// Those that end in `After` are parts of a workflow's type: whoever declares one names them.
export type {
  AttemptContext,
  CallbackContext,
  CallbackContextAfter,
  CallbackOptions,
  CompensationContext,
  ContextAfter,
  PollOptions,
  SignalOptions,
  SleepOptions,
  StepContext,
  StepError,
  StepLog,
  StepOptions,
  StepRef,
  StepView,
  UndoContextAfter,
} from "./definition/step.ts";
export {
  type InputOf,
  type KnownStep,
  type OutputOf,
  type Workflow,
  type WorkflowBuilder,
  type WorkflowOptions,
  workflow,
} from "./definition/workflow.ts";
export { createEngine, type Engine, type EngineOptions, type RunUpdate } from "./embedded/engine.ts";
export { StorageError, type StorageErrorCode } from "./embedded/storage-error.ts";
export type { LifecycleEvent, RunStatusChange } from "./engine/lifecycle.ts";
export type { PauseReason, RunError, RunStatus, StepStatus } from "./engine/run-state.ts";
export type { CallbackAnswered, CallbackCommands, CallbackFailure } from "./runtime/callbacks.ts";
export type { Commands, ForkRequest, RedriveRequest, Started, StartRequest } from "./runtime/commands.ts";
export { AttemptAborted, PawlError, type PawlErrorCode } from "./runtime/errors.ts";
export type {
  OperationAction,
  OperationEstimate,
  OperationFailure,
  OperationRequest,
  Operations,
  OperationView,
} from "./runtime/operations.ts";
export type { Logger } from "./runtime/ports.ts";
export type {
  Durations,
  FailureView,
  ListRequest,
  Queries,
  RunPage,
  RunQuery,
  RunSummary,
  Stats,
  StatsRequest,
  StatusCounts,
  WorkflowStats,
} from "./runtime/queries.ts";
export type { PayloadSize, RunView, StepRunView, TurnView } from "./runtime/run-view.ts";
export type { TaskQueueOptions } from "./runtime/task-queues.ts";
export type { WebhookBody } from "./system/webhook.ts";
export type { WebhookOptions } from "./system/webhooks.ts";
