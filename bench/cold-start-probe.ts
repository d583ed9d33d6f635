/** A process of `cold-start.ts`: starts as a function does, takes one event, and says how long it took and what it has loaded. */
import { registerHooks } from "node:module";
import process from "node:process";

/** What the process prints, as JSON. */
export interface Probed {
  /** Of the bundle's import. */
  readonly importMs: number;
  /** Of import and first event. */
  readonly eventMs: number;
  /** URLs of the bundle's files, in the order that they were loaded in, when they were asked for. */
  readonly atStart: readonly string[];
  readonly atEvent: readonly string[];
}

/** @param url of the bundle's file @param handler of its exports @param event as JSON; "" for none */
async function probe(url = "", handler = "", event = "", isCounting = ""): Promise<Probed> {
  const loaded: string[] = [];
  if (isCounting !== "") {
    registerHooks({
      load(of, context, next) {
        if (of.startsWith("file:")) loaded.push(of);
        return next(of, context);
      },
    });
  }
  const beganAtMs = performance.now();
  const exported = (await import(url)) as Record<string, (event: unknown, context: unknown) => Promise<unknown>>;
  const importMs = performance.now() - beganAtMs;
  const atStart = [...loaded];
  const context = { awsRequestId: "request", getRemainingTimeInMillis: () => 30_000 };
  // Only its code counts: where the environment is not complete, it fails once that is there.
  if (event !== "") await exported[handler]?.(JSON.parse(event), context).catch(() => undefined);
  return { importMs, eventMs: performance.now() - beganAtMs, atStart, atEvent: loaded };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await probe(...process.argv.slice(2))));
