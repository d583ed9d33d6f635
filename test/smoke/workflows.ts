// What only AWS itself can show: that a chain longer than the 16 hops of Lambda's loop detection goes on, how long a hop
// takes, and how late a timer beyond SQS' 15 minutes comes.
import { type StepRef, workflow } from "pawl";

export const hops = 40;

export const chain = workflow("chain", {}, (w) => {
  let last: StepRef<string, number> | undefined;
  for (let index = 0; index < hops; index++) {
    last = w.step(`hop${index}`, { after: last === undefined ? [] : [last], run: () => index });
  }
  return last;
});

export const timerMs = 16 * 60_000;

export const timer = workflow("timer", {}, (w) => {
  const wait = w.sleep("wait", { duration: `${timerMs}ms` });
  return w.step("woken", { after: [wait], run: () => "woken" });
});
