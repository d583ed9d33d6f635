import { relative, resolve } from "node:path";
import process from "node:process";
import { formatDuration } from "../definition/duration.ts";
import type { Workflow } from "../definition/workflow.ts";
import { nextTimeMs } from "../embedded/next-time.ts";
import { isLoopback } from "./foreign-pages.ts";
import { sampleInput } from "./sample-input.ts";

export interface BannerOptions {
  readonly file: string;
  readonly workflows: readonly Workflow[];
  readonly warnings: readonly string[];
  readonly url: string;
  readonly host: string;
  readonly dataDir: string;
  readonly log: string;
  /** JSON file with an input of the first workflow. */
  readonly inputFile?: string;
}

/** What the server says when it is up. */
export function banner({ file, workflows, warnings, url, host, dataDir, log, inputFile }: BannerOptions): string {
  const shown = workflows
    .slice(0, 10)
    .map(({ name, graph }) => `${name} (${graph.steps.length} ${graph.steps.length === 1 ? "step" : "steps"})`);
  if (workflows.length > 10) shown.push(`${workflows.length - 10} more`);
  const [first] = workflows;
  return [
    `Pawl serves ${nearPath(file)}`,
    "",
    `  API        ${url}`,
    `  workflows  ${shown.join(", ")}`,
    ...workflows.flatMap(scheduleLine),
    `  data       ${nearPath(dataDir)}`,
    `  log        ${nearPath(log)}`,
    `  process    ${process.pid}`,
    "",
    ...(first === undefined ? [] : ["Start a run:", `  ${curlExample(first, url, inputFile)}`, ""]),
    ...(isLoopback(host) ? [] : [`Anyone who reaches ${host} can start and cancel runs: there is no password.`, ""]),
    ...warnings.flatMap((warning) => [`warning: ${warning}`, ""]),
  ].join("\n");
}

function scheduleLine({ name, schedule }: Workflow): string[] {
  if (schedule === undefined) return [];
  const times =
    schedule.kind === "every"
      ? `every ${formatDuration(schedule.everyMs)}`
      : `at ${schedule.cron.text} in ${schedule.timezone}`;
  const nextMs = nextTimeMs(schedule, Date.now());
  const next = nextMs === undefined ? "" : `, next ${new Date(nextMs).toISOString().slice(0, 16)}Z`;
  return [`  schedule   ${name} ${times}${next}`];
}

function curlExample(workflow: Workflow, url: string, inputFile: string | undefined): string {
  const sample = inputFile === undefined ? sampleInput(workflow) : undefined;
  const body =
    inputFile !== undefined
      ? `"{ \\"input\\": $(cat '${nearPath(resolve(inputFile))}') }"`
      : sample === undefined
        ? `'{ "input": … }'`
        : `'${JSON.stringify(sample).replaceAll("'", "'\\''")}'`;
  return `curl ${url}/workflows/${workflow.name}/runs -H 'content-type: application/json' -d ${body}`;
}

/** Short when it lies below the working directory. */
function nearPath(path: string): string {
  const near = relative(process.cwd(), path);
  return near === "" || near.startsWith("..") ? path : near;
}
