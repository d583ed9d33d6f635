// One workflow in two editions: a deployment changes it while runs of the first are open.
import { workflow } from "pawl";

export const before = workflow("evolving", {}, (w) => {
  const first = w.step("first", { run: () => "one" });
  const go = w.signal("go", { after: [first] });
  return w.step("last", { after: [first, go], run: ({ outputs }) => [outputs.first, "last"] });
});

/** Its last step knows runs of both editions: in those of the first, nothing was inserted. */
export const after = workflow("evolving", {}, (w) => {
  const first = w.step("first", { run: () => "one" });
  const inserted = w.step("inserted", { after: [first], run: () => "two" });
  const go = w.signal("go", { after: [inserted] });
  return w.step("last", {
    after: [first, inserted, go],
    run: ({ outputs }) => [outputs.first, (outputs.inserted as string | undefined) ?? "not there", "last"],
  });
});
