/** `pawl tail`: a run while it goes on. */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { createLogUpdate } from "log-update";
import { oneLine, printableJson } from "../dev/text.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { RunView } from "../runtime/run-view.ts";
import { getRun } from "./api-client.ts";
import { changesOf } from "./run-changes.ts";
import { connect, type ServerFlags, serverCommand } from "./server-command.ts";
import { tailFrame } from "./tail-frame.ts";
import { canRedraw, linesFor } from "./terminal.ts";

export function addTailCommand(program: Command, setExitCode: (code: number) => void): void {
  serverCommand(program, "tail", "pawl tail order-1042", "pawl tail order-1042 --json | jq -r .text")
    .description("follow a run until it ends; Ctrl-C leaves it alone")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      setExitCode(await tail(runId, flags));
    });
}

/** The server is not asked more often, and answers sooner when the run ends. */
const askEveryMs = 1_000;
/** While something runs, times move on. */
const redrawMs = 200;
/** What shells say of a command that Ctrl-C has ended. */
const interrupted = 130;

interface TailDisplay {
  show(run: RunView): void;
  close(): void;
}

async function tail(runId: string, flags: ServerFlags): Promise<number> {
  const api = await connect(flags);
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  process.once("SIGINT", leave);
  const display = createTailDisplay(flags);
  try {
    const run = await follow(
      (waitMs) => getRun(api, runId, { waitMs, signal: leaving.signal }),
      display,
      leaving.signal,
    );
    return run.status === "succeeded" ? 0 : 1;
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    display.close();
    process.stderr.write(`\nRun ${runId} goes on. Follow it again with: pawl tail ${runId}\n`);
    return interrupted;
  } finally {
    display.close();
    process.removeListener("SIGINT", leave);
  }
}

/** Returns the run when it has ended. */
async function follow(
  ask: (waitMs: number) => Promise<RunView>,
  display: TailDisplay,
  signal: AbortSignal,
): Promise<RunView> {
  for (let waitMs = 0; ; waitMs = askEveryMs) {
    const askedMs = performance.now();
    const run = await ask(waitMs);
    display.show(run);
    if (isTerminal(run.status)) return run;
    // The first answer comes at once, and so do all those of a server that does not wait.
    if (waitMs > 0) await setTimeout(Math.max(0, askedMs + waitMs - performance.now()), undefined, { signal });
  }
}

function createTailDisplay({ json = false }: ServerFlags): TailDisplay {
  const { stdout } = process;
  return !json && canRedraw(stdout) ? createLiveTail(stdout) : createPlainTail(stdout, json);
}

/** One line per change. */
function createPlainTail(out: NodeJS.WriteStream, json: boolean): TailDisplay {
  let before: RunView | undefined;
  return {
    show(run) {
      for (const change of changesOf(before, run, Date.now())) {
        const { at, step, text } = change;
        out.write(
          json ? `${printableJson(change)}\n` : `${oneLine(`${at} ${step === undefined ? "" : `${step}: `}${text}`)}\n`,
        );
      }
      before = run;
    },
    close() {
      // Nothing is held back.
    },
  };
}

function createLiveTail(out: NodeJS.WriteStream): TailDisplay {
  // The cursor stays: a killed process could not bring it back.
  const draw = createLogUpdate(out, { showCursor: true });
  let shown: RunView | undefined;
  let timer: NodeJS.Timeout | undefined;
  const redraw = (): void => {
    if (shown !== undefined) draw(linesFor(out, tailFrame(shown, Date.now(), Math.max(3, out.rows - 2))));
  };
  return {
    show(run) {
      shown = run;
      redraw();
      // eslint-disable-next-line no-restricted-globals -- it only draws, and close() ends it
      timer ??= setInterval(redraw, redrawMs);
    },
    close() {
      clearInterval(timer);
      draw.done();
    },
  };
}
