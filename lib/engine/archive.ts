/**
 * Outputs of ended steps that are moved out of the run item, many into one payload. Each update is billed by the size of the
 * whole item, so what lies in it is paid for again by every write to come; one payload for many is paid for once.
 *
 * The run's field names the archives and the steps in them. Each output then has a key of its own, `arc#<archive>/<step>`,
 * like any other that lies beside the run; `lib/runtime/with-archives.ts` finds it. A reader that knows nothing of archives
 * would take these outputs for absent, so such a run has a newer version.
 */
import type { Graph } from "../definition/graph.ts";
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { archivedKey, encodeSteps, field, recordBytes, runSchemas } from "./codec.ts";
import { isTerminal, type PayloadRef, type RunState, type RunStatus } from "./run-state.ts";
import { applyTransition, type Condition, type Fields, type Transition } from "./transition.ts";

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
  if (recordBytes(fields) + keyBytes(run) < limits.runItemBytes - limits.archiveRoomBytes) return undefined;
  const after = applyTransition(transition, fields);
  if (after === undefined || isTerminal(after[field.status] as RunStatus)) return undefined;
  // Others that end at the same time would decide alike, and all but one of their writes would be refused.
  if (run.steps.some((step, index) => step?.status === "running" && index !== mine)) return undefined;
  const open = graph.steps.filter((_step, index) => after[field.step(index)] === undefined).length;
  if (2 * open < limits.archiveWritesLeft) return undefined;

  const moved = run.outputs.flatMap((output, index) => {
    return index !== mine && output !== undefined && "json" in output && isMovable(output.json) ? [index] : [];
  });
  const freed = moved.reduce((sum, index) => sum + fieldBytes(field.output(index), fields), 0);
  const bytes = recordBytes(after) + keyBytes(run);
  const steps = encodeSteps(moved);
  const overhead = archiveIdLength + steps.length + 2;
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

/** JSON has no line breaks but between its parts, and ours has none at all. Of nothing there is nothing to gain. */
function isMovable(json: string): boolean {
  return json !== "" && !json.includes("\n");
}

function fieldBytes(name: string, fields: Fields): number {
  return name.length + utf8Bytes(String(fields[name] ?? ""));
}

/** What the item has beside its fields: its own keys and those of the index. */
function keyBytes({ runId, workflow }: RunState): number {
  return 2 * runId.length + workflow.length + 31;
}
