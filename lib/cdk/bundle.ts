/** The worker file and all that it imports, bundled: every function of the stack runs it, by another of its exports. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, resolve } from "node:path";
import { AssetHashType, DockerImage } from "aws-cdk-lib";
import * as lambda from "aws-cdk-lib/aws-lambda";
import type * as Esbuild from "esbuild";

/** What the worker file exports, and the functions are started by. */
export const handlers = ["worker", "api", "deadLetters", "audit", "lifecycle"] as const;

/** As Lambda takes it. The API has a file of its own: the others start with a third less. */
export function handlerPath(handler: (typeof handlers)[number]): string {
  return `${handler === "api" ? "api" : "index"}.${handler}`;
}

/**
 * @param entry path of the worker file, relative to the directory that the CDK app is run in
 * @throws {Error} when there is no such file
 */
export function bundleCode(entry: string, options: { readonly sourceMap: boolean }): lambda.Code {
  const path = resolve(entry);
  if (!existsSync(path)) {
    throw new Error(
      `There is no worker file ${path}. "entry" is relative to the directory that the CDK app is run in.`,
    );
  }
  return lambda.Code.fromAsset(dirname(path), {
    // What counts is what comes out: a change elsewhere in the folder deploys nothing.
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      local: {
        tryBundle(outputDir) {
          bundle(path, outputDir, options);
          return true;
        },
      },
      // Asked for by the type; a local bundling that succeeds or throws never gets there.
      image: DockerImage.fromRegistry("scratch"),
    },
  });
}

export interface BundleOptions {
  readonly sourceMap: boolean;
  /** Of functions and classes, which errors and logs tell. Without them it is smaller. @default true */
  readonly keepNames?: boolean;
}

/** @throws {Error} when esbuild is missing or cannot bundle, or a handler is not exported */
export function bundle(path: string, outputDir: string, { sourceMap, keepNames = true }: BundleOptions): void {
  const esbuild = loadEsbuild(path);
  const options = { outdir: outputDir, sourcemap: sourceMap ? "linked" : false, keepNames } as const;
  esbuild.buildSync({ ...shared, ...options, entryPoints: { api: path } });
  const { outputs } = esbuild.buildSync({
    ...shared,
    ...options,
    entryPoints: { index: path },
    // Not even the parts of packages that only it imports: within one bundle, what two share is loaded by both.
    define: { PAWL_WITHOUT_API: "true" },
    metafile: true,
  }).metafile;
  const exported = Object.entries(outputs).find(([name]) => basename(name) === "index.mjs")?.[1].exports ?? [];
  const missing = handlers.filter((name) => !exported.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `${path} does not export ${missing.join(", ")}. Write: export const { ${handlers.join(", ")} } = createHandlers({ workflows: […] });`,
    );
  }
}

const shared = {
  outExtension: { ".js": ".mjs" },
  bundle: true,
  // What only some functions import dynamically, the others do not even read.
  splitting: true,
  platform: "node",
  target: "node24",
  format: "esm",
  // The modules of packages, of which only what is used is taken; esbuild would take their CommonJS first for Node.
  mainFields: ["module", "main"],
  // Parts that were written for CommonJS ask for Node's modules by require.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  minify: true,
  sourcesContent: false,
  logLevel: "error",
} as const satisfies Esbuild.BuildOptions;

/** The user's own, found from the worker file, or the one that is installed beside Pawl. */
function loadEsbuild(path: string): typeof Esbuild {
  for (const from of [path, import.meta.url]) {
    try {
      return createRequire(from)("esbuild") as typeof Esbuild;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw cause;
    }
  }
  throw new Error(`Pawl bundles ${path} by esbuild, which is not installed: npm install --save-dev esbuild`);
}
