/** Tools to test workflows with, for any test runner: `pawl/testing`. */

export type { StepCall } from "./calls.ts";
export { formatHistory, type HistoryEntry, type RunEntry, type SignalEntry, type StepEntry } from "./history.ts";
export type { MockedCode, Mocks, StepMock } from "./mocks.ts";
export { createTestEngine, type TestEngine, type TestEngineOptions } from "./test-engine.ts";
export { TestError } from "./test-error.ts";
export type { TestCallback, TestRun } from "./test-run.ts";
