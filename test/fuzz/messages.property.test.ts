// Hunts: a message, however it is damaged, that makes a worker throw what nobody expects, call its ports without end, come
// again for ever, or hold up the messages beside it.
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { hostileBytes, spoilt } from "../api/hostile.ts";
import { LocalLambda } from "../functions/local-lambda.ts";
import { budget, timeoutMs } from "./budget.ts";
import { isExpected } from "./expected-errors.ts";
import { counted, type ToldRig, toldRig } from "./told-rig.ts";

let told: ToldRig;

beforeAll(async () => {
  told = await toldRig();
}, 30_000);

/** A text as a queue may bring it: a message in which one thing is wrong, or something else altogether. */
function damagedText(bodies: readonly object[]): fc.Arbitrary<string> {
  const real = fc.constantFrom(...bodies);
  const text = real.map((body) => JSON.stringify(body));
  return fc.oneof(
    { weight: 8, arbitrary: spoilt(real).map((body) => JSON.stringify(body)) },
    { weight: 4, arbitrary: fc.tuple(real, fc.nat(20)).map(([body, at]) => JSON.stringify(withoutOne(body, at))) },
    { weight: 2, arbitrary: fc.tuple(text, fc.nat()).map(([whole, at]) => whole.slice(0, at % whole.length)) },
    { weight: 4, arbitrary: fc.tuple(text, fc.nat(), fc.nat(7)).map(([whole, at, bit]) => flipped(whole, at, bit)) },
    {
      weight: 2,
      arbitrary: fc.tuple(real, real).map(([one, other]) => JSON.stringify({ ...one, ...other, ...kindOf(one) })),
    },
    { weight: 1, arbitrary: real.map((body) => JSON.stringify({ ...body, v: 2 })) },
    { weight: 1, arbitrary: hostileBytes.map((bytes) => Buffer.from(bytes).toString("utf8").slice(0, 300_000)) },
  );
}

function kindOf(body: object): object {
  return "kind" in body ? { kind: body.kind } : {};
}

function withoutOne(body: object, at: number): object {
  const entries = Object.entries(body);
  return Object.fromEntries(entries.filter((_, index) => index !== at % entries.length));
}

function flipped(text: string, at: number, bit: number): string {
  const bytes = Buffer.from(text);
  const place = at % bytes.length;
  bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
  return bytes.toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

test(
  "a worker answers each within a bounded number of calls, and so does whoever takes its dead letters",
  async () => {
    const { rig, workflows, messages } = told;
    await fc.assert(
      fc.asyncProperty(damagedText(messages), fc.integer({ min: 1, max: 30 }), async (text, receiveCount) => {
        const { ports, calls } = counted(rig.ports);
        const worker = createWorker({ workflows, ports });
        const body = parsed(text);
        const answer = await worker
          .handle({ body, receiveCount, extend: () => Promise.resolve() })
          .catch((error: unknown) => ({ kind: "thrown", error }) as const);
        if (answer.kind === "thrown") expect(answer.error).toSatisfy(isExpected);
        if (answer.kind === "deadLetter") expect(answer.reason).not.toBe("");
        if (answer.kind === "redeliver") {
          expect(answer.delayMs).toBeGreaterThanOrEqual(0);
          expect(answer.delayMs).toBeLessThanOrEqual(limits.delayMs);
        }
        if (answer.kind === "thrown" || answer.kind === "deadLetter") {
          const buried = await worker.deadLetter(body, "fuzz").catch((error: unknown) => error);
          if (buried !== undefined) expect(buried).toSatisfy(isExpected);
        }
        expect(calls()).toBeLessThan(mostCalls);
      }),
      budget(1_000),
    );
    const { runId } = await rig.commands.start("done", { input: { n: 1 } });
    await rig.deliverAll(rig.worker(workflows));
    expect((await rig.show(runId)).status).toBe("succeeded");
  },
  timeoutMs,
);

/** What the heaviest of the story's messages needs, and as much again. */
const mostCalls = 60;

describe("on worker functions", () => {
  const chain = workflow("chain", { input: undefined }, (w) => {
    const one = w.step("one", { run: () => 1 });
    return w.step("two", { after: [one], run: ({ outputs }) => outputs.one + 1 });
  });

  test(
    "nine good messages in a batch with a bad one go their way, and no bad one is left to come again",
    async () => {
      const [template] = told.messages.filter(({ kind }) => kind === "step");
      const seed = Number(process.env.PAWL_FUZZ_SEED ?? Date.now() % 2 ** 31);
      const about = [template!, { ...template!, runId: "nobody" }, { ...template!, runId: "nobody", sentAtMs: 9e15 }];
      const bad = fc.sample(damagedText(about), { numRuns: 40, seed });
      let handled = 0;
      const lambda = new LocalLambda([chain], {
        batchSize: 10,
        wire: (command, perform) => {
          handled++;
          return perform();
        },
      });
      const runs: string[] = [];
      for (const text of bad) {
        lambda.sqs.put("default", text);
        for (let good = 0; good < 9; good++) runs.push(await lambda.start(chain));
      }
      await lambda.pass(1_000);
      for (const runId of runs)
        expect(await lambda.show(runId), `seed ${seed}`).toMatchObject({ status: "succeeded", output: 2 });
      // Those that a newer version may have sent come back for over an hour.
      await lambda.pass(4 * 3_600_000);
      expect(lambda.sqs.messages("default"), `seed ${seed}`).toEqual([]);
      expect(lambda.sqs.messages("dead")).toEqual([]);
      for (const { attributes } of lambda.sqs.messages("archive")) expect(attributes.reason?.StringValue).toBeTruthy();
      expect(handled).toBeLessThan(40 * 40 + runs.length * 4);
    },
    timeoutMs,
  );
});
