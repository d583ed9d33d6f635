// How many schedules are tried, and which: the same ones each time, so that a change is what makes a difference.
// Others are tried with PAWL_SIM_SEED=<any number>.
export const schedules = {
  numRuns: Number(process.env.PAWL_SIM_SEEDS ?? 100),
  seed: Number(process.env.PAWL_SIM_SEED ?? 1),
} as const;
