/** From the file that the user named to the workflows that it exports, and what it says of their task queues. */
import { statSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Workflow } from "../definition/workflow.ts";
import { compileTaskQueues, type TaskQueueOptions } from "../runtime/task-queues.ts";
import { checkWebhooks, type WebhookOptions } from "../system/webhooks.ts";
import { explainLoadFailure } from "./explain-load-failure.ts";
import { installFallbackResolution } from "./fallback-resolution.ts";
import { PlainError } from "./plain-error.ts";

export interface LoadedWorkflows {
  /** Absolute. */
  readonly file: string;
  readonly workflows: readonly Workflow[];
  /** Its export `taskQueues`. @default nothing is said of any */
  readonly taskQueues: Readonly<Record<string, TaskQueueOptions>>;
  /** Its export `webhooks`. @default none */
  readonly webhooks: readonly WebhookOptions[];
  readonly warnings: readonly string[];
}

/** @param path as typed on the command line @throws {PlainError} whatever keeps the file from being served */
export async function loadWorkflows(path: string): Promise<LoadedWorkflows> {
  const file = resolve(path);
  assertLoadable(file);
  const url = pathToFileURL(file).href;
  const resolution = installFallbackResolution(url);
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = (await import(url)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw new PlainError(explainLoadFailure(error, file), { cause: error });
  }
  const warnings = resolution
    .foreignCopies()
    .map(
      (url) =>
        `${file} uses another copy of Pawl, ${url}. Errors such as FatalError are then not recognised: run the pawl command of that copy.`,
    );
  return {
    file,
    workflows: findWorkflows(exports, file),
    taskQueues: findTaskQueues(exports, file),
    webhooks: findWebhooks(exports, file),
    warnings,
  };
}

const modules = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];

function assertLoadable(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new PlainError(`There is no file ${file}. Check the path.`, { exitCode: 2 });
  if (stats.isDirectory()) {
    throw new PlainError(`${file} is a folder. Name the file that exports your workflows.`, { exitCode: 2 });
  }
  if (!modules.includes(extname(file))) {
    throw new PlainError(`${file} is no module; allowed are files ending in ${modules.join(", ")}.`, { exitCode: 2 });
  }
  if (
    /^\.[mc]?ts$/.test(extname(file)) &&
    (process.features.typescript as unknown) !== "strip" &&
    (process.features.typescript as unknown) !== "transform"
  ) {
    throw new PlainError(
      `${file} is TypeScript, and this Node (${process.version}) does not run TypeScript files, or was told not to. ` +
        "Use Node 24 (22.18 or newer also works), or compile the file to JavaScript first.",
    );
  }
}

function findWorkflows(exports: Readonly<Record<string, unknown>>, file: string): readonly Workflow[] {
  const exportOf = new Map<Workflow, string>();
  for (const [name, value] of Object.entries(exports)) if (isWorkflow(value)) exportOf.set(value, name);
  if (exportOf.size === 0) {
    const names = Object.keys(exports);
    const seen = names.length === 0 ? "It exports nothing" : `Its exports are: ${names.join(", ")}`;
    throw new PlainError(
      `${file} exports no workflow. ${seen}. Export what workflow(…) returns: export const order = workflow("order", …).`,
    );
  }
  const byName = new Map<string, string>();
  for (const [{ name }, exportName] of exportOf) {
    const other = byName.get(name);
    if (other !== undefined) {
      throw new PlainError(
        `${file} exports two workflows with the name "${name}": ${other} and ${exportName}. Names must differ: rename one of them.`,
      );
    }
    byName.set(name, exportName);
  }
  return [...exportOf.keys()];
}

function findTaskQueues(
  { taskQueues = {} }: Readonly<Record<string, unknown>>,
  file: string,
): LoadedWorkflows["taskQueues"] {
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  if (!isObject(taskQueues) || !Object.values(taskQueues).every(isObject)) {
    throw new PlainError(
      `${file} exports taskQueues, and it is not what is said of task queues. Write: export const taskQueues = { crm: { rateLimit: { limit: 5, per: "1s" } } }.`,
    );
  }
  const options = taskQueues as LoadedWorkflows["taskQueues"];
  try {
    compileTaskQueues(options);
  } catch (error) {
    throw new PlainError(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return options;
}

function findWebhooks({ webhooks = [] }: Readonly<Record<string, unknown>>, file: string): readonly WebhookOptions[] {
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  if (!Array.isArray(webhooks) || !webhooks.every(isObject)) {
    throw new PlainError(
      `${file} exports webhooks, and it is not a list of them. Write: export const webhooks = [{ name: "crm", url: "https://…", secret: "whsec_…" }].`,
    );
  }
  const options = webhooks as readonly WebhookOptions[];
  try {
    checkWebhooks(options);
  } catch (error) {
    throw new PlainError(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return options;
}

/** Told by its shape: the user's file may have been given another copy of Pawl. */
function isWorkflow(value: unknown): value is Workflow {
  if (typeof value !== "object" || value === null) return false;
  const { name, fingerprint, graph, code } = value as Partial<Record<keyof Workflow, unknown>>;
  const isGraph = typeof graph === "object" && graph !== null && "steps" in graph;
  return typeof name === "string" && typeof fingerprint === "string" && isGraph && code instanceof Map;
}
