/** What a client does with one run of each workflow, and goes on doing until the server has acknowledged it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isTerminal } from "../../lib/engine/run-state.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import type { Answer, Api } from "./api.ts";
import type { Acknowledged, Entry, Ledger } from "./ledger.ts";
import type { Partner } from "./partner.ts";

export interface StoryTools {
  readonly api: Api;
  readonly ledger: Ledger;
  readonly partner: Partner;
  /** Shared with the server's workflows. */
  readonly folder: string;
}

type Story = (entry: Entry, tools: StoryTools) => Promise<void>;

const nothingElse: Story = async () => undefined;

/** What happens between the start of a run and its end. */
export const stories: Readonly<Record<string, Story>> = {
  chain: nothingElse,
  fan: nothingElse,
  map: nothingElse,
  parent: nothingElse,
  flaky: nothingElse,
  sleeping: nothingElse,
  queued: nothingElse,
  signalled: sendSignal,
  called: answerCallback,
  asking: answerQuestion,
  saga: perhapsCancel,
  mendable: mendAndRedrive,
};

/** From the start to the end of one run. @throws when the soak is over before */
export async function tell(entry: Entry, tools: StoryTools): Promise<void> {
  const { api, ledger } = tools;
  const { runId, workflow, input } = entry;
  const started = await api.persist("POST", `/workflows/${workflow}/runs`, { runId, input });
  if (started.status !== 202 && started.status !== 200) refused(entry, "start", started, ledger);
  entry.acknowledged.push({ what: "start" });
  await stories[workflow]!(entry, tools);
  const end = await until(entry, tools, ({ status }) => isTerminal(status), "5s");
  entry.isOver = end !== undefined;
}

/** @returns `undefined` when the run is not there */
async function until(
  entry: Entry,
  { api, ledger }: StoryTools,
  isSo: (view: RunView) => boolean,
  wait?: string,
): Promise<RunView | undefined> {
  for (;;) {
    const view = await api.show(entry.runId, wait);
    if (view === undefined) return undefined;
    ledger.see(entry, view);
    if (isSo(view)) return view;
    if (wait === undefined) await sleep(60);
  }
}

/** Sends it until it counts. `conflict` is what a repetition is told when the first one has counted. */
async function give(
  entry: Entry,
  tools: StoryTools,
  request: { readonly path: string; readonly body?: unknown; readonly what: Acknowledged; readonly conflict: string },
): Promise<void> {
  const { what } = request.what;
  const answer = await tools.api.persist("POST", request.path, request.body, () => entry.unknown.push(what));
  const hasCounted = answer.status === 202 || (entry.unknown.includes(what) && codeOf(answer) === request.conflict);
  if (hasCounted) entry.acknowledged.push(request.what);
  else refused(entry, what, answer, tools.ledger);
}

/** Often before its step begins. */
async function sendSignal(entry: Entry, tools: StoryTools): Promise<void> {
  await sleep(Math.random() * 200);
  const { runId, input: value } = entry;
  await give(entry, tools, {
    path: `/runs/${runId}/signals/go`,
    body: { value, token: "client" },
    what: { what: "gave", stepId: "go", value },
    conflict: "signal_conflict",
  });
}

/** A killed attempt takes its token with it, and the next one brings another. */
async function answerCallback(entry: Entry, tools: StoryTools): Promise<void> {
  const { runId, input: value } = entry;
  for (let heard = 0; ; heard++) {
    const token = await tools.partner.token(runId, heard);
    const body = { value, token: "client" };
    const path = `/callbacks/${encodeURIComponent(token)}/succeed`;
    const answer = await tools.api.persist("POST", path, body, () => entry.unknown.push("gave"));
    if (answer.status === 202) {
      entry.acknowledged.push({ what: "gave", stepId: "call", value });
      return;
    }
    if (codeOf(answer) !== "callback_not_found") refused(entry, "callback", answer, tools.ledger);
    // Either it had counted, or its attempt is dead.
    const view = await tools.api.show(runId);
    if (entry.unknown.includes("gave") && view?.steps.call?.status === "succeeded") return;
  }
}

async function answerQuestion(entry: Entry, tools: StoryTools): Promise<void> {
  const asked = await until(entry, tools, ({ steps }) => steps.ask?.interrupt !== undefined);
  const { runId, input: value } = entry;
  await give(entry, tools, {
    path: `/runs/${runId}/interrupts/${asked?.steps.ask?.interrupt?.id ?? "none"}`,
    body: value,
    what: { what: "gave", stepId: "ask", value },
    conflict: "interrupt_conflict",
  });
}

async function perhapsCancel(entry: Entry, { api, ledger }: StoryTools): Promise<void> {
  if (entry.input % 4 !== 1) return;
  await sleep(Math.random() * 300);
  const path = `/runs/${entry.runId}/cancel`;
  const answer = await api.persist("POST", path, undefined, () => entry.unknown.push("cancel"));
  if (answer.status === 202) entry.acknowledged.push({ what: "cancel" });
  else if (codeOf(answer) !== "status_conflict") refused(entry, "cancel", answer, ledger);
}

async function mendAndRedrive(entry: Entry, tools: StoryTools): Promise<void> {
  await until(entry, tools, ({ status }) => status === "failed", "5s");
  const mended = join(tools.folder, "mended");
  mkdirSync(mended, { recursive: true });
  writeFileSync(join(mended, entry.runId), "");
  await give(entry, tools, {
    path: `/runs/${entry.runId}/redrive`,
    what: { what: "redrive" },
    conflict: "status_conflict",
  });
}

function codeOf({ body }: Answer): string | undefined {
  return (body as { readonly error?: { readonly code?: string } }).error?.code;
}

function refused({ runId }: Entry, what: string, { status, body }: Answer, ledger: Ledger): void {
  ledger.surprises.push(`${runId}: its ${what} was answered ${status} ${JSON.stringify(body)}`);
}
