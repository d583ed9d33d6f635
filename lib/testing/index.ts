/** Tools to test workflows with, for any test runner: `pawl/testing`. */

export type { StepCall } from "./calls.ts";
export { type Explored, type ExploreOptions, type ExploreTools, explore } from "./explore.ts";
export type { Difference, ExploreReport, RanAgain, RepeatedEffect } from "./explore-report.ts";
export { formatHistory, type HistoryEntry, type RunEntry, type SignalEntry, type StepEntry } from "./history.ts";
export type { AnyMocks, MockedCode, Mocks, StepMock, WorkflowMocks } from "./mocks.ts";
export type { CallbackAnswer } from "./play.ts";
export type { ServiceOptions } from "./services.ts";
export { createTestEngine, type TestEngine, type TestEngineOptions } from "./test-engine.ts";
export { TestError } from "./test-error.ts";
export type { TestCallback, TestRun } from "./test-run.ts";
export { NotIdempotentError, type VerifyOptions, verifyIdempotent } from "./verify-idempotent.ts";
