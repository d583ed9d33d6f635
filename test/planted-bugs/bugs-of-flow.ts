/** Turns among runs and rates of attempts: mistakes about records that runs share. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfFlow: readonly PlantedBug[] = [
  {
    name: "a run that has ended keeps its slot",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`const isLeft = slot?.status === "held" && isTerminal(run.status);`, `const isLeft = false;`]],
    seeds: 84,
  },
  {
    name: "one slot more than the limit is given out",
    breaks: "R8",
    file: "lib/engine/gate.ts",
    edits: [[`holders.length >= limit) return gate;`, `holders.length > limit) return gate;`]],
    seeds: 84,
  },
  {
    name: "a gate's write relies on nothing",
    breaks: "R1",
    file: "lib/engine/gate.ts",
    edits: [
      [
        `return { guard, set, ...(remove.length === 0 ? {} : { remove }) };`,
        `return { guard: [], set, ...(remove.length === 0 ? {} : { remove }) };`,
      ],
    ],
    seeds: 84,
  },
  {
    name: "a run whose turn it is counts as told before it has been told",
    breaks: "R5",
    file: "lib/runtime/slots.ts",
    edits: [
      [
        `const answer = await this.#tell(await this.#entryOf(gate, ticket), ticket);
      gate = await this.#change(workflow, gate, (current) => told(current, ticket, answer));`,
        `const entry = await this.#entryOf(gate, ticket);
      gate = await this.#change(workflow, gate, (current) => told(current, ticket, "taken"));
      await this.#tell(entry, ticket);`,
      ],
    ],
    seeds: 170,
  },
  {
    name: "a run has its turn, and its steps are not sent when that is told again",
    breaks: "R5",
    file: "lib/runtime/slots.ts",
    edits: [
      [
        `const fields = await store.get(entry.runId);
      if (fields === undefined) return "void";
      const after`,
        `const fields = await store.get(entry.runId);
      if (fields === undefined) return "void";
      if (holdsSlot(imageOf(entry.runId, fields).run, entry, ticket)) return "taken";
      const after`,
      ],
    ],
    seeds: 500,
  },
  {
    name: "the slot of a run that is gone, or has had its turn, is not handed on",
    breaks: "R5",
    file: "lib/engine/gate.ts",
    edits: [[`return handOn(answer === "taken" ? rest : leave(rest, ticket));`, `return handOn(rest);`]],
    seeds: 210,
  },
  {
    name: "a redriven run keeps the slot of its former epoch at the gate",
    breaks: "R5",
    file: "lib/runtime/commands.ts",
    edits: [
      [
        `      if (!(await this.#slots.leave(image.run))) throw gateIsBusy(runId);
      await this.#tellOfEnd`,
        `      await this.#tellOfEnd`,
      ],
    ],
    seeds: 2200,
  },
  {
    name: "a ticket that is no longer the newest is not kept",
    breaks: "R5",
    file: "lib/runtime/slots.ts",
    edits: [
      [
        `if (next.tickets > current.tickets) await this.#keepNewest(current);`,
        `if (next.tickets < current.tickets) await this.#keepNewest(current);`,
      ],
    ],
    seeds: 84,
  },
  {
    name: "an attempt of a limited step is not counted",
    breaks: "R8",
    file: "lib/engine/rate.ts",
    edits: [
      [
        `return [...groups.slice(0, -1), { ...last, lastMs: atMs, count: last.count + 1 }];`,
        `return [...groups.slice(0, -1), { ...last, lastMs: atMs }];`,
      ],
    ],
    seeds: 280,
  },
  {
    name: "two attempts that ask at the same time are counted once",
    breaks: "R8",
    file: "lib/engine/rate.ts",
    edits: [[`return { guard: relied, set };`, `return { guard: [], set };`]],
    seeds: 2400,
  },
  {
    name: "a limited step that comes again is not asked whether it may begin",
    breaks: "R8",
    file: "lib/runtime/claim-step.ts",
    edits: [
      [
        `track === "step" && "code" in found && rates.isLimited`,
        `track === "step" && isFirstTime && "code" in found && rates.isLimited`,
      ],
    ],
    seeds: 100,
  },
];
