// Hunts: a stored run or record, however it is damaged, that is written to, that throws something from the inside at whoever
// meets it, or that hides or holds up the others: in messages, lists, audits, removals and the table's stream.
import * as fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { decodeRun, field, runSchemas } from "../../lib/engine/codec.ts";
import { StoredShapeError } from "../../lib/engine/field-reader.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { createAudit } from "../../lib/runtime/audit.ts";
import { createQueries } from "../../lib/runtime/queries.ts";
import type { Worker } from "../../lib/runtime/worker.ts";
import { hostileText } from "../api/hostile.ts";
import { storyRuns } from "../golden/story.ts";
import { budget, timeoutMs } from "./budget.ts";
import { isExpected } from "./expected-errors.ts";
import { type ToldRig, toldRig } from "./told-rig.ts";

let told: ToldRig;
let worker: Worker;
let gates: readonly string[];

beforeAll(async () => {
  told = await toldRig();
  worker = told.rig.worker(told.workflows);
  const found = ["gate#turns#one", "rate#key#partner"];
  for (const id of found) expect(await told.rig.ports.store.get(id)).toBeDefined();
  gates = found;
}, 30_000);

type Change = (fields: Fields) => Record<string, string | number | undefined>;

/** What counterexamples show. */
interface Damage {
  readonly what: readonly unknown[];
  readonly change: Change;
}

const value: fc.Arbitrary<string | number> = fc.oneof(
  hostileText,
  fc.constantFrom<(string | number)[]>(
    0,
    -1,
    1.5,
    1e308,
    9e15,
    Number.MAX_SAFE_INTEGER + 2,
    2,
    "2",
    "{}",
    "[]",
    "null",
    '"x"',
  ),
  fc.constantFrom(
    "r1.0.0.x",
    "r1.zzzzzzzzzz.zzzzzzzzzz.x",
    "b1.zzzzzzzzzzzzzz",
    "w0.1.zzzzzzzzzzzz",
    "s99999999999999999.1.1",
  ),
  fc.constantFrom(
    '{"name":1,"message":2}',
    '{"__proto__":{"a":"b"},"a":5}',
    '{"code":"x","message":"y"}',
    "@",
    "@blob:1:x",
  ),
);

/** Fields that other runs have, or that none has. */
const someName = fc.constantFrom(
  "s199",
  "s200",
  "o3",
  "q1",
  "u0",
  "r1",
  "m1",
  "t0",
  "j0",
  "b0",
  "@",
  "@x",
  "zz",
  "",
  "__proto__",
  "k",
  "kh",
  "l",
  "y",
  "x",
  "p",
  "g",
  "m",
  "ttl",
  "re",
);

const damage: fc.Arbitrary<Damage> = fc.oneof(
  {
    weight: 4,
    arbitrary: damaged("spoils", fc.tuple(fc.nat(), value), (at, bad) => (fields) => ({ [nameAt(fields, at)]: bad })),
  },
  {
    weight: 2,
    arbitrary: damaged("drops", fc.tuple(fc.nat()), (at) => (fields) => ({ [nameAt(fields, at)]: undefined })),
  },
  { weight: 2, arbitrary: damaged("adds", fc.tuple(someName, value), (name, bad) => () => ({ [name]: bad })) },
  {
    weight: 2,
    arbitrary: damaged("cuts", fc.tuple(fc.nat(), fc.nat(200)), (at, length) => (fields) => cut(fields, at, length)),
  },
  {
    weight: 1,
    arbitrary: damaged("ages", fc.tuple(fc.integer({ min: 3, max: 9 })), (v) => () => ({ [field.schema]: v })),
  },
);

function damaged<Choices extends readonly unknown[]>(
  name: string,
  choices: fc.Arbitrary<Choices>,
  change: (...choices: Choices) => Change,
): fc.Arbitrary<Damage> {
  return choices.map((made) => ({ what: [name, ...made], change: change(...made) }));
}

function nameAt(fields: Fields, at: number): string {
  const names = Object.keys(fields);
  return names[at % names.length] ?? field.status;
}

function cut(fields: Fields, at: number, length: number): Record<string, string | number> {
  const name = nameAt(fields, at);
  return { [name]: String(fields[name]).slice(0, length) };
}

/** Makes the record what it is not meant to be, for as long as the work takes. */
async function whileDamaged<T>(id: string, { change }: Damage, work: (damaged: Fields) => Promise<T>): Promise<T> {
  const { store } = told.rig.ports;
  const before = (await store.get(id)) ?? {};
  const changed = Object.entries(change(before));
  const set = Object.fromEntries(changed.filter(([, to]) => to !== undefined)) as Fields;
  await store.update(id, {
    guard: [],
    set,
    remove: changed.filter(([, to]) => to === undefined).map(([name]) => name),
  });
  try {
    return await work((await store.get(id)) ?? {});
  } finally {
    const after = (await store.get(id)) ?? {};
    const remove = Object.keys(after).filter((name) => !(name in before));
    await store.update(id, { guard: [], set: before, remove });
  }
}

function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function isUnreadable(id: string, fields: Fields): boolean {
  try {
    decodeRun(id, fields);
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(StoredShapeError);
    return true;
  }
}

async function outcome(work: Promise<unknown>): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error !== undefined) expect(error).toSatisfy(isExpected);
}

test(
  "a damaged run is read or refused, and one that is refused is never written to",
  async () => {
    const { rig, messages } = told;
    const { store } = rig.ports;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...storyRuns), damage, fc.nat(), async (runId, change, at) => {
        await whileDamaged(runId, change, async (damaged) => {
          const isRefused = isUnreadable(runId, damaged);
          const own = messages.filter((message) => message.runId === runId);
          const message = own[at % own.length];
          if (message !== undefined)
            await outcome(worker.handle({ body: message, receiveCount: 1, extend: async () => undefined }));
          if (message !== undefined) await outcome(worker.deadLetter(message, "fuzz"));
          await outcome(rig.commands.get(runId));
          await outcome(rig.commands.pause(runId));
          await outcome(rig.commands.redrive(runId));
          if (!isRefused) return;
          const after = (await store.get(runId)) ?? {};
          // A claim reads nothing but what it relies on: of a damaged run it may have taken the lease, before it saw the rest.
          const claimed = message !== undefined && "step" in message ? message.step : undefined;
          const isNewer = !(runSchemas as readonly unknown[]).includes(damaged[field.schema]);
          const leases = isNewer ? [] : [`s${claimed}`, `u${claimed}`, `t${claimed}`];
          expect(without(after, leases)).toEqual(without(damaged, leases));
        });
      }),
      budget(400),
    );
  },
  timeoutMs,
);

test(
  "lists and audits go on beside it, and say which it is",
  async () => {
    const { rig, workflows } = told;
    const { clock, logger } = rig.ports;
    const queries = createQueries({ index: rig.runIndex, clock, logger });
    const audit = createAudit({ workflows, ports: rig.ports, openRuns: rig.openRuns });
    const ids = fc.constantFrom(...storyRuns, ...gates);
    await fc.assert(
      fc.asyncProperty(ids, damage, async (id, change) => {
        const whole = (await queries.list({ limit: 1_000 })).runs.length;
        await whileDamaged(id, change, async (damaged) => {
          rig.logs.length = 0;
          const { runs } = await queries.list({ limit: 1_000 });
          expect(runs.length).toBeGreaterThanOrEqual(whole - 1);
          await outcome(queries.stats());
          await audit();
          // What has no status is no run any more, to an index.
          if (!isRunId(id) || runs.length === whole || damaged[field.status] === undefined) return;
          expect(rig.logs.some(({ fields }) => fields.runId === id && fields.error instanceof StoredShapeError)).toBe(
            true,
          );
        });
      }),
      budget(150),
    );
  },
  timeoutMs,
);
