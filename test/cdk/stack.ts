/** Stacks to look at: synthesised without bundling, with the checks that a deployment would go through. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { afterAll } from "vitest";
import { Pawl, type PawlProps } from "../../lib/cdk/index.ts";
import { workflow } from "../../lib/definition/workflow.ts";

const outputs = mkdtempSync(join(tmpdir(), "pawl-cdk-"));
afterAll(() => rmSync(outputs, { recursive: true }));

/** The CDK takes seconds to load, and to check what it made. */
export const SYNTH_TIMEOUT_MS = 60_000;

const run = (): undefined => undefined;

export const pack = workflow("pack", {}, (w) => w.step("reserve", { run, taskQueue: "inventory", timeout: "2m" }));
export const order = workflow("order", {}, (w) => {
  w.child("pack", { workflow: pack });
});
const report = workflow("report", { schedule: { cron: "0 6 * * MON-FRI", timezone: "Europe/Berlin" } }, (w) => {
  w.step("write", { run });
});

const flags = createRequire(import.meta.url).resolve("aws-cdk-lib/recommended-feature-flags.json");

/** What `cdk init` writes into the cdk.json of a new project. */
export const recommendedFlags = JSON.parse(readFileSync(flags, "utf8")) as Record<string, unknown>;

export interface Built {
  readonly app: App;
  readonly stack: Stack;
  readonly pawl: Pawl;
}

export function build(
  props: Partial<PawlProps> | ((stack: Stack) => Partial<PawlProps>) = {},
  context: Record<string, unknown> = {},
): Built {
  const app = new App({
    outdir: mkdtempSync(join(outputs, "out-")),
    context: { "aws:cdk:bundling-stacks": [], "@aws-cdk/core:validateAgainstDefaultRules": true, ...context },
  });
  const stack = new Stack(app, "Shop");
  const pawl = new Pawl(stack, "Orders", {
    entry: fileURLToPath(new URL("../../examples/worker.ts", import.meta.url)),
    workflows: [order, report],
    taskQueues: { inventory: {} },
    ...(typeof props === "function" ? props(stack) : props),
  });
  return { app, stack, pawl };
}

/** Some part of a template: whatever CloudFormation takes there. */
export type Part = ReturnType<Template["toJSON"]>[string];

export interface Resource {
  readonly Type: string;
  readonly Properties: Part;
  readonly DeletionPolicy?: string;
}

const synthesised = new WeakMap<Built, Readonly<Record<string, Resource>>>();

/** By logical id. A stack is synthesised once: what is added to it later is not seen. */
export function resources(built: Built): Readonly<Record<string, Resource>> {
  const known =
    synthesised.get(built) ?? (Template.fromStack(built.stack).toJSON().Resources as Record<string, Resource>);
  synthesised.set(built, known);
  return known;
}

export function ofType(built: Built, type: string): Readonly<Record<string, Resource>> {
  return Object.fromEntries(Object.entries(resources(built)).filter(([, resource]) => resource.Type === type));
}
