/** One run that starts with the server: what `--demo` asks for. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Workflow } from "../definition/workflow.ts";
import { PlainError } from "./plain-error.ts";

export interface DemoOptions {
  /** JSON file with the input. */
  readonly inputFile: string;
  /** Needed when the file exports several workflows. */
  readonly workflow?: string;
}

export interface Demo {
  readonly workflow: Workflow;
  readonly input: unknown;
}

/** @throws {PlainError} when there is no such file, JSON or workflow */
export function readDemo({ inputFile, workflow: name }: DemoOptions, workflows: readonly Workflow[]): Demo {
  const workflow = pickWorkflow(workflows, name, "--demo-workflow");
  return { workflow, input: readJsonFile(resolve(inputFile)) };
}

/** The one of that name, or the only one. @param flag that names it @throws {PlainError} when it is none of them, or one of several */
export function pickWorkflow(workflows: readonly Workflow[], name: string | undefined, flag: string): Workflow {
  const names = workflows.map((workflow) => workflow.name).join(", ");
  const wanted = workflows.find((workflow) => workflow.name === name);
  if (name !== undefined && wanted === undefined) {
    throw new PlainError(`${flag} is ${JSON.stringify(name)}; the file has ${names}.`, { exitCode: 2 });
  }
  const [only, ...others] = workflows;
  if (wanted === undefined && others.length > 0) {
    const message = `The file has several workflows: ${names}. Say which one to start with ${flag}.`;
    throw new PlainError(message, { exitCode: 2 });
  }
  const workflow = wanted ?? only;
  if (workflow === undefined) throw new PlainError("There is no workflow to start.");
  return workflow;
}

function readJsonFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (error) {
    const reason =
      error instanceof SyntaxError ? `is not JSON: ${error.message}` : `cannot be read: ${(error as Error).message}`;
    throw new PlainError(`The demo input ${file} ${reason}.`, { exitCode: 2, cause: error });
  }
}
