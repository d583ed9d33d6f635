/** What is said of task queues as a whole, checked. */
import { compileRate, type Rate, type RateOptions } from "../definition/flow.ts";

export interface TaskQueueOptions {
  /** How often attempts on this task queue may begin, over all steps and runs. @default as often as they are ready */
  readonly rateLimit?: RateOptions;
}

/** How often attempts may begin, by task queue. */
export type TaskQueueRates = ReadonlyMap<string, Rate>;

/** @throws {TypeError} naming all faults */
export function compileTaskQueues(options: Readonly<Record<string, TaskQueueOptions>>): TaskQueueRates {
  const faults: string[] = [];
  const rates = new Map<string, Rate>();
  for (const [name, { rateLimit }] of Object.entries(options)) {
    if (rateLimit === undefined) continue;
    const report = (option: string, message: string): void => {
      faults.push(`taskQueues.${name}.rateLimit.${option} ${message}`);
    };
    rates.set(name, compileRate(rateLimit, report));
  }
  if (faults.length > 0) throw new TypeError(faults.join("\n"));
  return rates;
}
