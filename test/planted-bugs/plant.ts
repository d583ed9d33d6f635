// Loaded by node before everything else (`--import`), also in each worker thread: plants the bug that PAWL_PLANTED_BUG names
// while the file that has it is loaded. Nothing on disk changes, and no source knows of it.
import { registerHooks } from "node:module";
import { bugsOfSchedules } from "./bugs-of-schedules.ts";
import { planted, urlOf } from "./planted-bug.ts";
import { plantedBugs } from "./planted-bugs.ts";

const name = process.env.PAWL_PLANTED_BUG;
const bug = [...plantedBugs, ...bugsOfSchedules].find((one) => one.name === name);
if (bug === undefined) throw new Error(`PAWL_PLANTED_BUG is ${JSON.stringify(name)}, and there is no such bug.`);

const url = urlOf(bug);
registerHooks({
  load(loaded, context, next) {
    const file = next(loaded, context);
    if (loaded !== url) return file;
    const source = typeof file.source === "string" ? file.source : new TextDecoder().decode(file.source);
    return { ...file, source: planted(source, bug) };
  },
});
