/**
 * Lets a file that lies outside of any project import "pawl" and "zod": when Node finds none, it gets the ones that
 * this process runs on. A package that Node does find wins.
 */
import * as nodeModule from "node:module";

const here = import.meta.url;
/** The entry point of this very copy: classes such as `FatalError` must be the ones that the engine knows. */
const ownEntry = new URL(here.endsWith(".ts") ? "../index.ts" : "../index.js", here).href;

export interface FallbackResolution {
  /** Other copies of Pawl that were imported. */
  readonly foreignCopies: () => readonly string[];
}

/** @param entryUrl the file that was asked for */
export function installFallbackResolution(entryUrl: string): FallbackResolution {
  const foreign = new Set<string>();
  // Node 22.15 brought the hooks; before, files need a project of their own.
  if (!("registerHooks" in nodeModule)) return { foreignCopies: () => [] };
  nodeModule.registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        const found = nextResolve(specifier, context);
        if (specifier === "pawl" && found.url !== ownEntry) foreign.add(found.url);
        // Without a package.json Node tries CommonJS first, and then blames the first export for any other mistake.
        const isUntyped = found.url === entryUrl && found.url.endsWith(".ts") && (found.format ?? null) === null;
        return isUntyped ? { ...found, format: "module-typescript" } : found;
      } catch (error) {
        if (specifier === "pawl") return { url: ownEntry, shortCircuit: true };
        if (!/^(pawl|zod)(\/|$)/.test(specifier)) throw error;
        return nextResolve(specifier, { ...context, parentURL: here });
      }
    },
  });
  return { foreignCopies: () => [...foreign] };
}
