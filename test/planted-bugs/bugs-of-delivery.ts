/** Claim, commit, send, acknowledge: mistakes in the delivery rule. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfDelivery: readonly PlantedBug[] = [
  {
    name: "a commit is bound to no attempt and to no owner",
    breaks: "R4",
    file: "lib/engine/unclaimed.ts",
    edits: [
      [
        `    return state.attempt === mine.attempt && state.owner === mine.owner ? state : undefined;`,
        `    return state;`,
      ],
    ],
    seeds: 1400,
  },
  {
    name: "a write relies on the run's status and not on the steps that it changes",
    breaks: "R4",
    file: "lib/engine/transition-to.ts",
    edits: [[`if (before !== stateOn(track, next, index)) guard.push(stepIs(index, before, track));`, ``]],
    seeds: 110,
  },
  {
    name: "a duplicate is acknowledged while another delivery holds a live lease",
    breaks: "R5",
    file: "lib/engine/claim.ts",
    edits: [
      [
        `if (remainingMs > 0) return { kind: "later", delayMs: remainingMs };`,
        `if (remainingMs > 0) return { kind: "drop", because: "another worker is at work" };`,
      ],
    ],
    seeds: 190,
  },
  {
    name: "a message that is there before its run is acknowledged",
    breaks: "R5",
    file: "lib/engine/claim.ts",
    edits: [
      [`      ? { kind: "later", delayMs: limits.startRetryMs }\n`, `      ? { kind: "drop", because: "too early" }\n`],
    ],
    seeds: 110,
  },
  {
    name: "what follows from a commit is sent before it",
    breaks: "R7",
    file: "lib/runtime/worker.ts",
    edits: [
      [
        `        case "write":
          break;
      }`,
        `        case "write": {
          const { applyTransition } = await import("../engine/transition.ts");
          const after = applyTransition(verdict.transition, current.fields) ?? current.fields;
          const { dueBecauseOf } = await import("../engine/due.ts");
          const run = imageOf(current.run.runId, after).run;
          const messages = dueBecauseOf(graph, run, mine.step, nowMs, mine.track, current.run.status);
          if (messages.length > 0) await ports.queue.send(messages);
        }
      }`,
      ],
    ],
    seeds: 98,
  },
  {
    name: "a message is acknowledged while what follows from its commit is still being sent",
    breaks: "R5",
    file: "lib/runtime/worker.ts",
    edits: [
      [
        `      const advanced = await advanceBecauseOf(ports, graph, current, mine.step, mine.track, before);
      if (isTerminal(advanced.run.status)) log.info("run ended", { status: advanced.run.status });`,
        `      advanceBecauseOf(ports, graph, current, mine.step, mine.track, before).catch(() => undefined);`,
      ],
    ],
    seeds: 290,
  },
  {
    name: "the message of a step that has ended is acknowledged, and what follows is not sent again",
    breaks: "R6",
    file: "lib/runtime/claim-step.ts",
    edits: [
      [
        `      case "over":
        await advanceBecauseOf(ports, graph, image, step, track);`,
        `      case "over":`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "of what follows from an ended step, what the run's end asks for is not sent again",
    breaks: "R6",
    file: "lib/runtime/claim-step.ts",
    edits: [
      [
        `      case "over":
        await advanceBecauseOf(ports, graph, image, step, track);`,
        `      case "over":
        await advanceBecauseOf(ports, graph, image, step, track, image.run);`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "what follows from a step that was skipped is not sent",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`const passesOn = index === cause || state?.attempt === 0;`, `const passesOn = index === cause;`]],
    seeds: 470,
  },
  {
    name: "the timer of the next attempt is not sent",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [
      [`return send(state.attempt + 1, state.wakeAtMs, state.wakeAtMs, state.mayHaveActed);`, `return undefined;`],
    ],
    seeds: 50,
  },
  {
    name: "a refused commit counts as made",
    breaks: "R6",
    file: "lib/runtime/worker.ts",
    edits: [[`if (!result.applied) continue;`, ``]],
    seeds: 1200,
  },
  {
    name: "a decision that was refused is not made again",
    breaks: "R5",
    file: "lib/runtime/image.ts",
    edits: [[`if (result.applied) return current;`, `return current;`]],
    seeds: 72,
  },
  {
    name: "the run is ended by a write without a condition",
    breaks: "R2",
    file: "lib/runtime/effects.ts",
    edits: [
      [
        `return settled === run ? undefined : transitionTo(run, settled);`,
        `return settled === run ? undefined : { ...transitionTo(run, settled), guard: [] };`,
      ],
    ],
    seeds: 530,
  },
  {
    name: "a failing run ends although one of its steps is at work",
    breaks: "R2",
    file: "lib/engine/settle.ts",
    edits: [
      [
        `const isOver = allEnded && planUndo(graph, settled).isOver;`,
        `const isOver = planUndo(graph, settled).isOver;`,
      ],
    ],
    seeds: 990,
  },
  {
    name: "a run succeeds with the step of its output, whatever the others do",
    breaks: "R2",
    file: "lib/engine/settle.ts",
    edits: [
      [
        `const allEnded = haveAllEnded(graph, settled);`,
        `const allEnded = hasEnded(settled.steps[graph.output ?? graph.steps.length - 1]);`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "a lease never ends",
    breaks: "R5",
    file: "lib/engine/claim.ts",
    edits: [
      [
        `return remainingMs > limits.leaseMs + limits.clockSkewMs ? 0 : Math.max(0, remainingMs);`,
        `return Math.max(limits.startRetryMs, remainingMs);`,
      ],
    ],
    seeds: 290,
  },
  {
    name: "a worker takes over at the same attempt",
    breaks: "R3",
    file: "lib/engine/claim.ts",
    edits: [
      [
        `claimed(step.attempt + 1, by, leavesDoubt(track, graphStep))`,
        `claimed(step.attempt, by, leavesDoubt(track, graphStep))`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "a worker takes over beyond the last attempt of the policy",
    breaks: "R3",
    file: "lib/engine/claim.ts",
    edits: [[`if (policy !== undefined && mayAttempt(policy, step.attempt + 1)) {`, `if (policy !== undefined) {`]],
    seeds: 480,
  },
  {
    name: "a failed step is tried once more than its policy says",
    breaks: "R3",
    file: "lib/engine/retry.ts",
    edits: [[`if (!mayAttempt(policy, attempt + 1)) return`, `if (!mayAttempt(policy, attempt)) return`]],
    seeds: 50,
  },
  {
    name: "a claim whose answer was lost is taken for that of somebody else",
    breaks: "R3",
    file: "lib/engine/claim.ts",
    edits: [[`if (step.owner === by.owner) return { kind: "won" };`, ``]],
    seeds: 910,
  },
  {
    name: "a step begins although its run is paused or unwinds",
    breaks: "R2",
    file: "lib/engine/claim.ts",
    edits: [[`      { field: field.status, is: "equal", value: statusOn(message.kind) },\n`, ``]],
    seeds: 92,
  },
  {
    name: "a run refers to an output that is not stored yet",
    breaks: "R6",
    file: "lib/runtime/step-data.ts",
    edits: [
      [
        `if ("key" in placed) await store.putPayload(run.runId, key, json);`,
        `if ("key" in placed) store.putPayload(run.runId, key, json).catch(() => undefined);`,
      ],
    ],
    seeds: 110,
  },
  {
    name: "the store refers to a blob that is not stored yet",
    breaks: "R6",
    file: "lib/runtime/with-blobs.ts",
    edits: [
      [
        `await blobs.put(blobKey(runId, hashOf(json)), json);
      return store.putPayload(runId, key, markerOf(json));`,
        `blobs.put(blobKey(runId, hashOf(json)), json).catch(() => undefined);
      return store.putPayload(runId, key, markerOf(json));`,
      ],
    ],
    seeds: 210,
  },
  {
    name: "a step begins before all that it depends on has ended",
    breaks: "R7",
    file: "lib/engine/readiness.ts",
    edits: [
      [
        `if (all.includes(undefined)) return "waiting";
  return step.skipWithDependency`,
        `return step.skipWithDependency`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "a handler begins before all that it settles has ended",
    breaks: "R7",
    file: "lib/engine/readiness.ts",
    edits: [
      [
        `ends(step.afterSettled, states).includes(undefined)`,
        `ends(step.afterSettled, states).every((end) => end === undefined)`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "executions of one attempt keep their outputs under one key",
    breaks: "R6",
    file: "lib/runtime/step-data.ts",
    edits: [
      [
        `payloadKey.output(step, run.epoch, attempt, unclaimed && owner)`,
        `payloadKey.output(step, run.epoch, attempt)`,
      ],
    ],
    seeds: 4400,
  },
  {
    name: "a step that is not idempotent begins without a claim",
    breaks: "R4",
    file: "lib/engine/unclaimed.ts",
    edits: [[`return step?.kind === "step" && step.idempotent === true;`, `return step?.kind === "step";`]],
    seeds: 1840,
  },
  {
    name: "an archive of outputs is relied on and not stored",
    breaks: "R6",
    file: "lib/runtime/worker.ts",
    edits: [[`    await ports.store.putPayload(run.runId, archived.key, archived.text);\n`, ``]],
    seeds: 84,
  },
  {
    name: "an archive of outputs makes the run forget those before it",
    breaks: "R6",
    file: "lib/engine/archive.ts",
    edits: [["former === undefined ? entry : `${former},${entry}`", `entry`]],
    seeds: 222,
  },
];
