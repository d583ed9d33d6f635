import { constants } from "node:os";
import process from "node:process";

const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Calls back for the first signal to stop; the second ends the process at once, with the exit code that says so. */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let isStopping = false;
  for (const signal of stopSignals) {
    process.on(signal, () => {
      if (isStopping) process.exit(128 + constants.signals[signal]);
      isStopping = true;
      stop(signal);
    });
  }
}
