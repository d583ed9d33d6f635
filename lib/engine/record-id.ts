/** Beside the runs, the store holds records that runs share. Their ids have a `#`, which no run's id has. */

export function isRunId(id: string): boolean {
  return !id.includes("#");
}

export const recordId = {
  gate: (workflow: string, key: string): string => `gate#${workflow}#${key}`,
  rateOfKey: (key: string): string => `rate#key#${key}`,
  rateOfStep: (workflow: string, step: string): string => `rate#step#${workflow}#${step}`,
  rateOfTaskQueue: (name: string): string => `rate#queue#${name}`,
} as const;
