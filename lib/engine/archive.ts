/**
 * Outputs of ended steps that are moved out of the run item, many into one payload. Each update is billed by the size of the
 * whole item, so what lies in it is paid for again by every write to come; one payload for many is paid for once.
 *
 * The run's field names the archives and the steps in them. Each output then has a key of its own, `arc#<archive>/<step>`,
 * like any other that lies beside the run; `lib/runtime/with-archives.ts` finds it. A reader that knows nothing of archives
 * would take these outputs for absent, so such a run has a newer version.
 */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { archivedKey, encodeSteps, field, fieldBytes, recordBytes, runSchemas } from "./codec.ts";
import type { PayloadRef, RunState } from "./run-state.ts";
import type { Condition, Fields, Transition } from "./transition.ts";

/** What is to be stored beside the run, and the transition that then relies on it. */
export interface Archived {
  readonly key: string;
  readonly text: string;
  readonly transition: Transition;
}

/**
 * The same transition, with outputs moved out of the run; `undefined` when that does not pay.
 *
 * @param run and `fields`, its record: what the transition was decided on
 * @param mine the step that it ends: its output is about to be read
 * @param idOf a hash of the text, of `archiveIdLength` characters: what is stored under it is never two things
 */
export function archive(
  graph: Graph,
  run: RunState,
  fields: Fields,
  transition: Transition,
  mine: number,
  idOf: (text: string) => string,
): Archived | undefined {
  // Asked at each commit: what little there is to gain is known without looking at the whole record.
  const { moved, freed } = movable(run, mine);
  if (freed <= limits.archiveRoomBytes || !isWorthIt(graph, run, transition, mine)) return undefined;
  const steps = encodeSteps(moved);
  const overhead = archiveIdLength + steps.length + 2;
  const bytes = recordBytes(fields) + keyBytes(run) + growth(fields, transition);
  const bound = Math.floor((bytes - 1) / limits.runItemBytes) * limits.runItemBytes;
  if (bound === 0 || bytes - freed + overhead > bound - limits.archiveRoomBytes) return undefined;

  const text = moved.map((index) => `${index}=${String(fields[field.output(index)])}`).join("\n");
  const id = idOf(text);
  const former = fields[field.archived];
  const entry = `${id}:${steps}`;
  const isAsBefore: Condition =
    former === undefined
      ? { field: field.archived, is: "absent" }
      : { field: field.archived, is: "equal", value: former };
  const names = moved.map((index) => field.output(index));
  return {
    key: `arc#${id}`,
    text,
    transition: {
      ...transition,
      guard: [...transition.guard, isAsBefore],
      set: {
        ...transition.set,
        [field.schema]: runSchemas[1],
        [field.archived]: former === undefined ? entry : `${former},${entry}`,
      },
      remove: [...(transition.remove ?? []), ...names],
    },
  };
}

/** So long that two archives of one run never have the same by chance. */
export const archiveIdLength = 10;

/** The output of a step in an archive; `undefined` when it is not in there. */
export function findArchived(text: string, step: number): string | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${step}=`));
  return line?.slice(line.indexOf("=") + 1);
}

/** All outputs in an archive, by the keys that they are known by. */
export function archivedIn(key: string, text: string): (readonly [key: string, json: string])[] {
  const id = key.slice("arc#".length);
  return text.split("\n").map((line) => {
    const at = line.indexOf("=");
    return [archivedKey(id, Number(line.slice(0, at))), line.slice(at + 1)] as const;
  });
}

/** The archive that has the output of this key, and the step that it is of; `undefined` when it is in none. */
export function archiveOf(key: string): { readonly key: string; readonly step: number } | undefined {
  const [, archive, step] = /^(arc#[\w-]+)\/(\d+)$/.exec(key) ?? [];
  return archive === undefined ? undefined : { key: archive, step: Number(step) };
}

export function isArchived(output: PayloadRef | undefined): boolean {
  return placeOf(output) !== undefined;
}

/** The field without these steps, as a redrive writes it; `undefined` when none is left. */
export function withoutArchived(outputs: RunState["outputs"], gone: ReadonlySet<number>): string | undefined {
  const entries = new Map<string, number[]>();
  for (const [step, output] of outputs.entries()) {
    const place = gone.has(step) ? undefined : placeOf(output);
    if (place !== undefined) entries.set(place.key, [...(entries.get(place.key) ?? []), step]);
  }
  if (entries.size === 0) return undefined;
  return [...entries].map(([key, steps]) => `${key.slice("arc#".length)}:${encodeSteps(steps)}`).join(",");
}

function placeOf(output: PayloadRef | undefined): { readonly key: string; readonly step: number } | undefined {
  return output !== undefined && "key" in output ? archiveOf(output.key) : undefined;
}

interface Movable {
  /** Steps whose outputs lie in the run and could lie elsewhere. */
  readonly moved: readonly number[];
  /** Bytes that they take, their names included: or fewer, as it counts characters. */
  readonly freed: number;
}

function movable({ steps, outputs }: RunState, mine: number): Movable {
  const moved: number[] = [];
  let freed = 0;
  for (let index = 0; index < outputs.length; index++) {
    const output = outputs[index];
    // What failed steps leave is read by the engine itself, in the run: how many items of a shard have failed.
    if (index === mine || steps[index]?.status !== "succeeded") continue;
    if (output === undefined || !("json" in output) || !isMovable(output.json)) continue;
    moved.push(index);
    freed += output.json.length + (index < 10 ? 2 : index < 100 ? 3 : 4);
  }
  return { moved, freed };
}

/** Whether writes enough are to come, and nobody else is about to make one. */
function isWorthIt({ steps }: Graph, run: RunState, { set }: Transition, mine: number): boolean {
  if ((set[field.status] ?? run.status) !== "running") return false;
  let open = 0;
  for (let index = 0; index < steps.length; index++) {
    const state = run.steps[index];
    // Others that end at the same time would decide alike, and all but one of their writes would be refused.
    if (state?.status === "running" && index !== mine) return false;
    if (state === undefined) open++;
  }
  return 2 * open >= limits.archiveWritesLeft;
}

/** Bytes that the record has more after the transition. */
function growth(fields: Fields, { set }: Transition): number {
  let bytes = 0;
  for (const name in set) bytes += fieldBytes(name, set[name]) - fieldBytes(name, fields[name]);
  return bytes;
}

/** JSON has no line breaks but between its parts, and ours has none at all. Of nothing there is nothing to gain. */
function isMovable(json: string): boolean {
  return json !== "" && !json.includes("\n");
}

/** What the item has beside its fields: its own keys and those of the index. */
function keyBytes({ runId, workflow }: RunState): number {
  return 2 * runId.length + workflow.length + 31;
}
