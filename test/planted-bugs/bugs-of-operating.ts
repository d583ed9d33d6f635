/** Starts, operations, waiters, removal and audits: mistakes about what users do. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfOperating: readonly PlantedBug[] = [
  {
    name: "a start writes its run before it has armed its messages",
    breaks: "R5",
    file: "lib/runtime/start-run.ts",
    edits: [
      [`  await queue.send(isFork ? [nudge(graph, run, nowMs)] : due(graph, run, nowMs));\n`, ``],
      [`if (isFork || (result.applied && isLate()))`, `if (isFork || result.applied)`],
    ],
    seeds: 140,
  },
  {
    name: "a change from outside is written before it is armed",
    breaks: "R5",
    file: "lib/runtime/commands.ts",
    edits: [[`      await queue.send([nudge(graph, image.run, clock.now())]);\n`, ``]],
    seeds: 3900,
  },
  {
    name: "a redrive begins no new epoch",
    breaks: "R2",
    file: "lib/engine/operate.ts",
    edits: [[`[field.epoch]: run.epoch + 1,`, `[field.epoch]: run.epoch,`]],
    seeds: 88,
  },
  {
    name: "a redriven run keeps its expiry",
    breaks: "R2",
    file: "lib/engine/operate.ts",
    edits: [
      [
        `const removed = run.expiresAtMs === undefined ? remove : [...remove, field.expiresAt];`,
        `const removed = remove;`,
      ],
    ],
    seeds: 88,
  },
  {
    name: "a redrive repeats a step that was ended by hand",
    breaks: "R6",
    file: "lib/engine/operate.ts",
    edits: [
      [
        `for (const index of [...stepsToRepeat(graph, run).filter(isRepeated), ...anew]) {`,
        `for (const index of [...stepsToRepeat(graph, run), ...anew]) {`,
      ],
    ],
    seeds: 400,
  },
  {
    name: "a redrive forgets a step that succeeded",
    breaks: "R6",
    file: "lib/engine/operate.ts",
    edits: [
      [
        `if (state.status === "succeeded" || state.status === "skipped") continue;`,
        `if (state.status === "skipped") continue;`,
      ],
    ],
    seeds: 170,
  },
  {
    name: "a fork keeps what depends on the step that begins anew",
    breaks: "R7",
    file: "lib/engine/fork.ts",
    edits: [[`if (behind.has(index)) for (const`, `if (index === from) for (const`]],
    seeds: 5300,
  },
  {
    name: "a fork refers to outputs before they are copied",
    breaks: "R6",
    file: "lib/runtime/fork-run.ts",
    edits: [
      [
        `  for (const [index, output] of copy.outputs.entries()) await copyOne(original.outputs[index], output);`,
        `  for (const [index, output] of copy.outputs.entries()) copyOne(original.outputs[index], output).catch(() => undefined);`,
      ],
    ],
    seeds: 2300,
  },
  {
    name: "whoever redrives a run forgets those who wait for its end",
    breaks: "R5",
    file: "lib/runtime/commands.ts",
    edits: [[`      await this.#tellOfEnd(image.run);\n`, ``]],
    seeds: 2200,
  },
  {
    name: "waiters are told only by whoever writes the end",
    breaks: "R5",
    file: "lib/runtime/effects.ts",
    edits: [
      [
        `if (settled.run.status !== before?.status) await tellWaiters`,
        `if (before !== undefined && settled.run.status !== before.status) await tellWaiters`,
      ],
    ],
    seeds: 54,
  },
  {
    name: "a run may be removed whatever it has become meanwhile",
    breaks: "R2",
    file: "lib/runtime/removal.ts",
    edits: [
      [
        `await this.#store.remove(run.runId, asItIs(run));
    // A removal`,
        `await this.#store.remove(run.runId, []);
    // A removal`,
      ],
    ],
    seeds: 3500,
  },
  {
    name: "what lies beside a removed run goes before the runs that it has started",
    breaks: "R5",
    file: "lib/runtime/removal.ts",
    edits: [
      [
        `    const removed: RemovedRun[] = [];
`,
        `    const removed: RemovedRun[] = [];
    await this.#store.removeRest(runId);
`,
      ],
    ],
    seeds: 5600,
  },
  {
    name: "a removed run leaves the runs that it has started",
    breaks: "R5",
    file: "lib/runtime/removal.ts",
    edits: [
      [
        `if (await this.#store.remove(runId, asItIs(run))) return { runId, fields };
        continue;`,
        `return undefined;`,
      ],
    ],
    seeds: 210,
  },
  {
    name: "an audit takes a run that goes on after a pause for stuck",
    breaks: "R5",
    file: "lib/engine/overdue.ts",
    edits: [
      [
        `return earliest(expected.map(({ what, atMs }) => ({ what, atMs: Math.max(atMs, turnedAtMs(run)) })));`,
        `return earliest(expected);`,
      ],
    ],
    seeds: 610,
  },
  {
    name: "an audit repairs nothing",
    breaks: "R5",
    file: "lib/runtime/audit.ts",
    edits: [[`if (isRepeated) await advanceAll(this.#ports, by.graph, by.image);`, ``]],
    seeds: 200,
  },
  {
    name: "an audit does not see a step whose worker is lost",
    breaks: "R5",
    file: "lib/engine/overdue.ts",
    edits: [
      [
        `if (state?.status === "running") return [ofLease(state, \`step \${named}\`)];`,
        `if (state?.status === "running") return [];`,
      ],
    ],
    seeds: 3500,
  },
];
