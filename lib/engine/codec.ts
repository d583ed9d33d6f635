/**
 * The one place that knows how a run is stored: short attribute names, one short string per step.
 * DynamoDB bills names and values on every write, and a step's string is what fences compare with (R4).
 *
 * | field | holds | | field | holds |
 * |---|---|---|---|---|
 * | `v` | version of this shape | | `c`, `z` | created, ended (ms) |
 * | `w`, `f` | workflow, fingerprint | | `a`, `d` | start time, deadline (ms) |
 * | `st`, `n` | status, number of status changes | | `x`, `p`, `g` | error, pause reason, tags (JSON) |
 * | `e` | epoch | | `s0`, `s1` … | state of a step |
 * | `i`, `h` | input, its hash | | `o0`, `o1` … | output of a step |
 * | `y`, `rt` | what it unwinds to, redriven (ms) | | `q0`, `q1` … | signal that was sent to a step |
 * | `k`, `kh` | slot that is waited for, that is held | | `u0`, `u1` … | state of a step's undoing |
 * | `ta` | when it began to unwind, or was resumed (ms) | | `re` | retention (ms) |
 * | `ttl` | when it expires (seconds) | | `bo` | bulk operation that last acted on it |
 * | `m` | what it was forked from (JSON) | | `r0`, `r1` … | epoch in which a step began anew |
 * | `l` | the parent's step | | `m0`, `m1` … | record of a step that was ended by hand |
 * | | | | `t0`, `t1` … | hash of a callback's task token |
 * | | | | `j0`, `j1` … | what a step has asked people |
 * | `@` | number of waiters | | `b0`, `b1` … | details of a step's last heartbeat (JSON) |
 * | `ar` | which outputs lie in archives (`archive.ts`) | | | |
 * | `@<queue>` | a waiter: until when it waits (ms, base 36) | | `be` | not of a run: epochs that may start none here (`barred.ts`) |
 */
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { FieldReader, isTime, otherVersion, shown } from "./field-reader.ts";
import {
  type ForkOrigin,
  hasEnded,
  type Interrupts,
  isTerminal,
  type ParentLink,
  type PauseReason,
  type PayloadRef,
  type RunError,
  type RunState,
  runStatuses,
  type SignalRecord,
  type Slot,
  type StepState,
  unwindTargets,
} from "./run-state.ts";
import { base36, decodeStep, encodeStep } from "./step-codec.ts";
import type { Fields } from "./transition.ts";

/**
 * Versions of the stored shape, the newest last. A reader refuses newer ones instead of guessing. The second has archives;
 * a run without any has the first, which older readers know.
 */
export const runSchemas = [1, 2] as const;

/** Attribute names, for guards and for stores that index some of them. */
export const field = {
  schema: "v",
  workflow: "w",
  fingerprint: "f",
  status: "st",
  changes: "n",
  epoch: "e",
  input: "i",
  inputHash: "h",
  error: "x",
  pause: "p",
  tags: "g",
  createdAt: "c",
  endedAt: "z",
  startAt: "a",
  deadlineAt: "d",
  redrivenAt: "rt",
  turnedAt: "ta",
  retention: "re",
  /** In seconds, not ms: it is what DynamoDB deletes the item by. */
  expiresAt: "ttl",
  operation: "bo",
  parent: "l",
  unwindTo: "y",
  forkedFrom: "m",
  /** Of an id without a run: the newest epoch of the parent whose attempts may not start one any more. */
  barred: "be",
  archived: "ar",
  /** Two fields, so that a claim can refuse a run that waits without knowing what for. */
  slotWanted: "k",
  slotHeld: "kh",
  step: (index: number): string => `s${index}`,
  output: (index: number): string => `o${index}`,
  signal: (index: number): string => `q${index}`,
  undo: (index: number): string => `u${index}`,
  generation: (index: number): string => `r${index}`,
  byHand: (index: number): string => `m${index}`,
  token: (index: number): string => `t${index}`,
  interrupts: (index: number): string => `j${index}`,
  heartbeat: (index: number): string => `b${index}`,
  /** The number of those below: a condition that looks at one field keeps it bounded. */
  waiters: "@",
  waiter: (replyTo: string): string => `@${replyTo}`,
} as const;

/** JSON text is never empty but for `undefined`, and never begins with `@`. */
export function encodePayload(payload: PayloadRef): string {
  return "key" in payload ? `@${payload.key}` : payload.json;
}

export function decodePayload(text: string): PayloadRef {
  return text.startsWith("@") ? { key: text.slice(1) } : { json: text };
}

/** `<id>` or `<id>:<payload>`. */
function encodeSignal({ id, payload }: SignalRecord): string {
  return payload === undefined ? id : `${id}:${encodePayload(payload)}`;
}

function decodeSignal(text: string): SignalRecord {
  const colon = text.indexOf(":");
  if (colon === -1) return { id: text };
  return { id: text.slice(0, colon), payload: decodePayload(text.slice(colon + 1)) };
}

/** `<epoch>.<attempt>.<step>.<task queue>.<workflow>.<fingerprint>`: names have no dots, and a fingerprint comes last. */
export function encodeLink({ epoch, attempt, step, taskQueue, workflow, fingerprint }: ParentLink): string {
  return [epoch, attempt, step, taskQueue, workflow, fingerprint].join(".");
}

const linkForm = /^(\d+)\.(\d+)\.(\d+)\.([^.]+)\.([^.]+)\.(.+)$/;

function decodeLink(text: string): ParentLink | undefined {
  const [, epoch, attempt, step, taskQueue, workflow, fingerprint] = linkForm.exec(text) ?? [];
  if (taskQueue === undefined || workflow === undefined || fingerprint === undefined) return undefined;
  return { epoch: Number(epoch), attempt: Number(attempt), step: Number(step), taskQueue, workflow, fingerprint };
}

/** `[<ticket>].<key>` while it is waited for, `<ticket>.<since>.<key>` when it is held; numbers in base 36. */
export function encodeSlot(slot: Slot): string {
  if (slot.status === "held") return `${base36(slot.ticket)}.${base36(slot.sinceMs)}.${slot.key}`;
  return `${slot.ticket === undefined ? "" : base36(slot.ticket)}.${slot.key}`;
}

function decodeSlot(read: FieldReader, fields: Fields): Slot | undefined {
  const { [field.slotWanted]: wanted, [field.slotHeld]: held } = fields;
  if (wanted === undefined && held === undefined) return undefined;
  const text = String(wanted ?? held);
  const [, ticketText = "", since, key] =
    (wanted === undefined ? /^([0-9a-z]+)\.([0-9a-z]+)\.(.*)$/s : /^([0-9a-z]*)()\.(.*)$/s).exec(text) ?? [];
  if (key === undefined) throw read.fault(`its slot is stored as ${shown(text)}`);
  const ticket = Number.parseInt(ticketText, 36);
  if (wanted === undefined) return { status: "held", key, ticket, sinceMs: Number.parseInt(since ?? "", 36) };
  return { status: "wanted", key, ...(ticketText === "" ? {} : { ticket }) };
}

/** `<answer>,<answer>…`, and `?<question>` when one is open. */
export function encodeInterrupts({ answers, pending }: Interrupts): string {
  return `${answers.join(",")}${pending === undefined ? "" : `?${pending}`}`;
}

function decodeInterrupts(text: string): Interrupts {
  const [answers = "", pending] = text.split("?");
  return { answers: answers === "" ? [] : answers.split(","), ...(pending === undefined ? {} : { pending }) };
}

/** Fields that hold the run. With `previous`, only those that differ from it: steps and outputs are compared by identity. */
export function encodeRun(run: RunState, previous?: RunState): Record<string, string | number> {
  const fields: Record<string, string | number> = {};
  const put = <T>(
    name: string,
    value: T | undefined,
    before: T | undefined,
    encoded: (value: T) => string | number,
  ): void => {
    if (value !== undefined && value !== before) fields[name] = encoded(value);
  };
  const putEach = <T>(
    name: (index: number) => string,
    values: readonly (T | undefined)[],
    before: readonly (T | undefined)[] | undefined,
    encoded: (value: T) => string | number,
  ): void => {
    // Most writes change one of them.
    if (values === before) return;
    values.forEach((value, index) => {
      if (value !== undefined && value !== before?.[index]) fields[name(index)] = encoded(value);
    });
  };
  const text = (value: string): string => value;
  const number = (value: number): number => value;
  const json = (value: object): string => JSON.stringify(value);

  if (previous === undefined) fields[field.schema] = 1;
  put(field.workflow, run.workflow, previous?.workflow, text);
  put(field.fingerprint, run.fingerprint, previous?.fingerprint, text);
  put(field.status, run.status, previous?.status, text);
  // Afterwards the number is only ever added to: see transitionTo.
  if (previous === undefined) fields[field.changes] = run.changes;
  put(field.epoch, run.epoch, previous?.epoch, number);
  put(field.input, run.input, previous?.input, encodePayload);
  put(field.inputHash, run.inputHash, previous?.inputHash, text);
  put(field.createdAt, run.createdAtMs, previous?.createdAtMs, number);
  put(field.endedAt, run.endedAtMs, previous?.endedAtMs, number);
  put(field.startAt, run.startAtMs, previous?.startAtMs, number);
  put(field.deadlineAt, run.deadlineAtMs, previous?.deadlineAtMs, number);
  put(field.redrivenAt, run.redrivenAtMs, previous?.redrivenAtMs, number);
  put(field.turnedAt, run.turnedAtMs, previous?.turnedAtMs, number);
  put(field.retention, run.retentionMs, previous?.retentionMs, number);
  put(field.expiresAt, run.expiresAtMs, previous?.expiresAtMs, (timeMs) => timeMs / 1000);
  put(field.operation, run.operation, previous?.operation, text);
  put(field.error, run.error, previous?.error, json);
  put(field.pause, run.pause, previous?.pause, json);
  put(field.tags, run.tags, previous?.tags, json);
  put(field.parent, run.parent, previous?.parent, encodeLink);
  put(field.unwindTo, run.unwindTo, previous?.unwindTo, text);
  put(run.slot?.status === "held" ? field.slotHeld : field.slotWanted, run.slot, previous?.slot, encodeSlot);
  put(field.forkedFrom, run.forkedFrom, previous?.forkedFrom, json);
  putEach(field.step, run.steps, previous?.steps, encodeStep);
  putEach(field.output, run.outputs, previous?.outputs, encodePayload);
  putEach(field.signal, run.signals, previous?.signals, encodeSignal);
  putEach(field.undo, run.undos, previous?.undos, encodeStep);
  putEach(field.generation, run.generations, previous?.generations, number);
  putEach(field.byHand, run.byHand ?? [], previous?.byHand, text);
  putEach(field.token, run.tokens, previous?.tokens, text);
  putEach(field.interrupts, run.interrupts, previous?.interrupts, encodeInterrupts);
  putEach(field.heartbeat, run.heartbeats, previous?.heartbeats, text);
  // Afterwards they come and go by writes of their own: see waiter.ts.
  if (previous === undefined) Object.assign(fields, encodeWaiters(run.waiters));
  return fields;
}

function encodeWaiters(waiters: RunState["waiters"]): Fields {
  if (waiters === undefined) return {};
  const each = Object.entries(waiters).map(([replyTo, untilMs]) => {
    return [field.waiter(replyTo), encodeUntil(untilMs)] as const;
  });
  return { ...Object.fromEntries(each), [field.waiters]: each.length };
}

function decodeUntil(read: FieldReader, name: string): number {
  const untilMs = Number.parseInt(read.text(name), 36);
  if (isTime(untilMs)) return untilMs;
  throw read.wrong(name, "a time");
}

export function encodeUntil(untilMs: number): string {
  return base36(untilMs);
}

/**
 * The run in a stored record. In a terminal run every step has ended (R2): what had begun and not ended when the run
 * did reads as `cancelled`, so one write ends a run whatever is in flight, and late commits of those steps are refused.
 *
 * @throws {StoredRunError} for records of a newer version and for damaged ones.
 */
export function decodeRun(runId: string, fields: Fields): RunState {
  const read = new FieldReader(runId, fields);
  const schema = read.number(field.schema);
  if (!(runSchemas as readonly number[]).includes(schema)) {
    throw read.fault(otherVersion(schema, runSchemas.at(-1) ?? 0));
  }
  const statusText = read.text(field.status);
  const status = runStatuses.find((candidate) => candidate === statusText);
  if (status === undefined) throw read.fault(`its status is ${shown(statusText)}`);
  const endedAtMs = read.optionalTime(field.endedAt);

  const steps: (StepState | undefined)[] = [];
  const outputs: (PayloadRef | undefined)[] = [];
  const signals: (SignalRecord | undefined)[] = [];
  const undos: (StepState | undefined)[] = [];
  const generations: (number | undefined)[] = [];
  const byHand: (string | undefined)[] = [];
  const tokens: (string | undefined)[] = [];
  const interrupts: (Interrupts | undefined)[] = [];
  const heartbeats: (string | undefined)[] = [];
  const waiters: Record<string, number> = {};
  for (const [name, value] of Object.entries(fields)) {
    const kind = name.charCodeAt(0);
    if (kind === waiterMark && name !== field.waiters) waiters[name.slice(1)] = decodeUntil(read, name);
    if (!indexedLetters.includes(kind) || !isDigit(name.charCodeAt(1))) continue;
    const index = Number(name.slice(1));
    if (!(index < limits.stepsPerWorkflow)) throw read.fault(`there is no step for its field ${name}`);
    if (kind === outputLetter) outputs[index] = decodePayload(String(value));
    else if (kind === signalLetter) signals[index] = decodeSignal(String(value));
    else if (kind === generationLetter) generations[index] = read.epoch(name);
    else if (kind === byHandLetter) byHand[index] = String(value);
    else if (kind === tokenLetter) tokens[index] = String(value);
    else if (kind === interruptsLetter) interrupts[index] = decodeInterrupts(String(value));
    else if (kind === heartbeatLetter) heartbeats[index] = String(value);
    else {
      const step = decodeStep(String(value));
      if (step === undefined) throw read.fault(`step ${index} is stored as ${shown(value)}`);
      const states = kind === undoLetter ? undos : steps;
      states[index] = isTerminal(status) && !hasEnded(step) ? closed(step, endedAtMs ?? 0) : step;
    }
  }
  const archived = fields[field.archived];
  if (archived !== undefined) addArchived(read, String(archived), outputs);
  const unwindToText = fields[field.unwindTo];
  const unwindTo = unwindTargets.find((candidate) => candidate === unwindToText);
  if (unwindTo === undefined && unwindToText !== undefined) {
    throw read.fault(`it unwinds to ${shown(unwindToText)}`);
  }
  const error = read.optionalJson<RunError>(field.error, ["name", "message"]);
  const pause = read.optionalJson<PauseReason>(field.pause, ["code", "message"]);
  const tags = read.optionalJson<Record<string, string>>(field.tags);
  const link = fields[field.parent];
  const parent = link === undefined ? undefined : decodeLink(String(link));
  if (link !== undefined && parent === undefined) {
    throw read.fault(`its parent is stored as ${shown(link)}`);
  }
  const slot = decodeSlot(read, fields);
  const forkedFrom = read.optionalJson<ForkOrigin>(field.forkedFrom, ["runId", "from", "id"]);
  const startAtMs = read.optionalTime(field.startAt);
  const deadlineAtMs = read.optionalTime(field.deadlineAt);
  const redrivenAtMs = read.optionalTime(field.redrivenAt);
  const turnedAtMs = read.optionalTime(field.turnedAt);
  const retentionMs = read.optionalNumber(field.retention);
  const expiresAtMs = read.optionalTime(field.expiresAt, 1000);
  const operation = fields[field.operation];
  return {
    runId,
    workflow: read.text(field.workflow),
    fingerprint: read.text(field.fingerprint),
    status,
    epoch: read.epoch(field.epoch),
    changes: read.number(field.changes),
    input: decodePayload(read.text(field.input)),
    inputHash: read.text(field.inputHash),
    steps,
    outputs,
    signals,
    undos,
    generations,
    tokens,
    interrupts,
    heartbeats,
    createdAtMs: read.time(field.createdAt),
    ...(error === undefined ? {} : { error }),
    ...(pause === undefined ? {} : { pause }),
    ...(tags === undefined ? {} : { tags }),
    ...(slot === undefined ? {} : { slot }),
    ...(byHand.length === 0 ? {} : { byHand }),
    ...(forkedFrom === undefined ? {} : { forkedFrom }),
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    ...(startAtMs === undefined ? {} : { startAtMs }),
    ...(deadlineAtMs === undefined ? {} : { deadlineAtMs }),
    ...(redrivenAtMs === undefined ? {} : { redrivenAtMs }),
    ...(turnedAtMs === undefined ? {} : { turnedAtMs }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(operation === undefined ? {} : { operation: String(operation) }),
    ...(parent === undefined ? {} : { parent }),
    ...(Object.keys(waiters).length === 0 ? {} : { waiters }),
    ...(unwindTo === undefined ? {} : { unwindTo }),
  };
}

const stepLetter = 0x73;
const outputLetter = 0x6f;
const signalLetter = 0x71;
const undoLetter = 0x75;
const generationLetter = 0x72;
const byHandLetter = 0x6d;
const tokenLetter = 0x74;
const interruptsLetter = 0x6a;
const heartbeatLetter = 0x62;
const waiterMark = 0x40;
const indexedLetters: readonly number[] = [
  stepLetter,
  outputLetter,
  signalLetter,
  undoLetter,
  generationLetter,
  byHandLetter,
  tokenLetter,
  interruptsLetter,
  heartbeatLetter,
];

const archivedForm = /^([\w-]+):(\d{1,3}(?:-\d{1,3})?(?:\.\d{1,3}(?:-\d{1,3})?)*)$/;

/** `<archive>:<steps>,<archive>:<steps>…`; what a step has in the run itself is newer. */
function addArchived(read: FieldReader, text: string, outputs: (PayloadRef | undefined)[]): void {
  for (const entry of text.split(",")) {
    const [, archive, steps = ""] = archivedForm.exec(entry) ?? [];
    const decoded = decodeSteps(steps);
    if (archive === undefined || decoded.some((step) => step >= limits.stepsPerWorkflow))
      throw read.fault(`its archives are stored as ${shown(text)}`);
    for (const step of decoded) outputs[step] ??= { key: archivedKey(archive, step) };
  }
}

/** Steps in their order: `0-18.20` are the first nineteen and the twenty-first. */
export function encodeSteps(steps: readonly number[]): string {
  const ranges: string[] = [];
  for (const [at, step] of steps.entries()) {
    if (at > 0 && steps[at - 1] === step - 1) continue;
    let end = step;
    for (let next = at + 1; steps[next] === end + 1; next++) end++;
    ranges.push(end === step ? String(step) : `${step}-${end}`);
  }
  return ranges.join(".");
}

function decodeSteps(text: string): number[] {
  return text.split(".").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at);
  });
}

/** Of an output that lies in an archive. */
export function archivedKey(archive: string, step: number): string {
  return `arc#${archive}/${step}`;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function closed(step: StepState, endedAtMs: number): StepState {
  const startedAtMs =
    step.status === "running" ? step.startedAtMs : step.status === "waiting" ? step.sinceMs : endedAtMs;
  return { status: "cancelled", attempt: step.attempt, startedAtMs, endedAtMs: Math.max(startedAtMs, endedAtMs) };
}

/** Bytes that the record takes in DynamoDB: names and values (a number takes about half its digits). */
export function recordBytes(fields: Fields): number {
  let bytes = 0;
  for (const name in fields) bytes += fieldBytes(name, fields[name]);
  return bytes;
}

/** Of one field, its name included; 0 when it is absent. */
export function fieldBytes(name: string, value: string | number | undefined): number {
  if (value === undefined) return 0;
  return name.length + (typeof value === "string" ? utf8Bytes(value) : Math.ceil(String(value).length / 2) + 1);
}
