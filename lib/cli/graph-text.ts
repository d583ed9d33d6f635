/** A workflow's graph as a tree of text, for Mermaid and for Graphviz. */
import type { WorkflowView } from "../api/workflow-view.ts";
import { type DependencyKind, dependencyKinds } from "../definition/graph.ts";
import { oneLine } from "../dev/text.ts";
import { kindText } from "./run-text.ts";

type StepView = WorkflowView["steps"][number];

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly kind: DependencyKind;
}

export interface GraphView {
  readonly workflow: string;
  readonly fingerprint: string;
  readonly nodes: readonly { readonly id: string; readonly kind: StepView["kind"] }[];
  readonly edges: readonly Edge[];
  /** Id of the step whose output is the run's. */
  readonly output?: string;
}

export function graphOf({ name, fingerprint, steps, output }: WorkflowView): GraphView {
  return {
    workflow: name,
    fingerprint,
    nodes: steps.map(({ id, kind }) => ({ id, kind })),
    edges: edgesOf(steps),
    ...(output === undefined ? {} : { output }),
  };
}

/** On an edge; `after` is the plain one. */
const labels: Readonly<Record<DependencyKind, string>> = {
  after: "",
  afterAny: "any",
  afterFailed: "failed",
  afterSettled: "settled",
};

/**
 * Each step once, below the last step that it waits for; the others that it waits for are named behind it. So whatever
 * is below a step begins after it, and siblings may go on at the same time.
 */
export function graphTree({ name, steps, output }: WorkflowView): string {
  const order = new Map(steps.map(({ id }, index) => [id, index]));
  const place = (id: string): number => order.get(id) ?? -1;
  const edges = edgesOf(steps);
  const parents = new Map<string, Edge>();
  for (const edge of edges) {
    const known = parents.get(edge.to);
    // Where nothing of these differs, the plain kind needs no word.
    if (known === undefined || place(edge.from) > place(known.from)) parents.set(edge.to, edge);
  }
  const lineOf = (step: StepView): string => {
    const above = parents.get(step.id);
    const others = edges.filter((edge) => edge.to === step.id && edge !== above);
    const notes = [
      ...(above === undefined || above.kind === "after" ? [] : [`when ${edgeText({ ...above, from: "it" })}`]),
      ...(others.length === 0
        ? []
        : [`${above?.kind === "afterAny" ? "or" : "and"} after ${others.map(edgeText).join(", ")}`]),
      ...[kindText(step)].filter((text) => text !== ""),
      ...(step.when ? ["may be skipped"] : []),
      ...(step.id === output ? ["the output"] : []),
    ];
    return oneLine(`${step.id}${notes.length === 0 ? "" : `  (${notes.join("; ")})`}`);
  };
  const below = (id: string | undefined): readonly StepView[] =>
    steps.filter((step) => parents.get(step.id)?.from === id);
  const draw = (children: readonly StepView[], indent: string): string[] =>
    children.flatMap((step, index) => {
      const isLast = index === children.length - 1;
      const branch = `${indent}${isLast ? "└─" : "├─"} ${lineOf(step)}`;
      return [branch, ...draw(below(step.id), `${indent}${isLast ? "   " : "│  "}`)];
    });
  return [oneLine(name), ...draw(below(undefined), "")].join("\n");
}

function edgeText({ from, kind }: Pick<Edge, "from" | "kind">): string {
  switch (kind) {
    case "after":
      return from;
    case "afterAny":
      return from;
    case "afterFailed":
      return `${from} failed`;
    case "afterSettled":
      return `${from} ended`;
  }
}

/** https://mermaid.js.org/syntax/flowchart.html */
export function graphMermaid({ steps }: WorkflowView): string {
  const numbers = numbersOf(steps);
  const nodes = steps.map((step) => `  ${numbers(step.id)}${mermaidShapes[step.kind](mermaidText(step.id))}`);
  const edges = edgesOf(steps).map(({ from, to, kind }) => {
    const arrow = kind === "after" ? "-->" : `-. ${labels[kind]} .->`;
    return `  ${numbers(from)} ${arrow} ${numbers(to)}`;
  });
  return ["flowchart TD", ...nodes, ...edges].join("\n");
}

const mermaidShapes: Readonly<Record<StepView["kind"], (text: string) => string>> = {
  step: (text) => `["${text}"]`,
  callback: (text) => `[/"${text}"/]`,
  signal: (text) => `>"${text}"]`,
  sleep: (text) => `(["${text}"])`,
  child: (text) => `[["${text}"]]`,
  map: (text) => `[["${text} × n"]]`,
};

/** Mermaid reads `#…;` as a character's number, and has no other way to say a quote. */
function mermaidText(id: string): string {
  return id.replaceAll("#", "#35;").replaceAll('"', "#quot;");
}

/** https://graphviz.org/doc/info/lang.html */
export function graphDot({ name, steps }: WorkflowView): string {
  const nodes = steps.map(({ id, kind }) => `  ${dotText(id)} [shape=${dotShapes[kind]}];`);
  const edges = edgesOf(steps).map(({ from, to, kind }) => {
    const look = kind === "after" ? "" : ` [style=dashed, label=${dotText(labels[kind])}]`;
    return `  ${dotText(from)} -> ${dotText(to)}${look};`;
  });
  return [`digraph ${dotText(name)} {`, ...nodes, ...edges, "}"].join("\n");
}

const dotShapes: Readonly<Record<StepView["kind"], string>> = {
  step: "box",
  callback: "parallelogram",
  signal: "cds",
  sleep: "oval",
  child: "component",
  map: "folder",
};

function dotText(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function edgesOf(steps: readonly StepView[]): Edge[] {
  return steps.flatMap((step) =>
    dependencyKinds.flatMap((kind) => step[kind].map((from) => ({ from, to: step.id, kind }))),
  );
}

/** Ids of steps may be words of Mermaid's own, such as `end`. */
function numbersOf(steps: readonly StepView[]): (id: string) => string {
  const numbers = new Map(steps.map(({ id }, index) => [id, `s${index}`]));
  return (id) => numbers.get(id) ?? "s";
}
