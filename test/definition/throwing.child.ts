// Runs each piece of code as a step's, and prints what is known of what it throws.
import { RunningAttempt } from "../../lib/runtime/attempt.ts";
import { thrownError } from "../../lib/runtime/step-data.ts";
import { systemClock } from "../../lib/runtime/system.ts";

export async function tell(
  codes: Readonly<Record<string, (id: string) => unknown>>,
  ids: readonly string[],
): Promise<void> {
  const nothing = (): void => undefined;
  const thrown: Record<string, unknown[]> = {};
  for (const [name, run] of Object.entries(codes)) {
    for (const id of ids) {
      const attempt = new RunningAttempt(systemClock(), {
        debug: nothing,
        info: nothing,
        warn: nothing,
        error: nothing,
      });
      const result = await attempt.run(() => run(id), 5_000);
      (thrown[name] ??= []).push(result.kind === "threw" ? thrownError(result.error) : result);
    }
  }
  console.log(JSON.stringify(thrown));
}
