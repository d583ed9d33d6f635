/** What was measured, beside what it should be: one document for programs, and a table for people. */

/** At most, or at least, so much. */
export type Target = { readonly atMost: number } | { readonly atLeast: number };

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** @default a ratio, or a count */
  readonly unit?: string;
  /** Absent for a figure that explains others. */
  readonly target?: Target;
}

/** What one part of the bench says. */
export interface Measured {
  readonly title: string;
  /** How it was measured, and what its figures include: one sentence each. */
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
  /** What else was found, for people. */
  readonly grid?: Grid;
  /** All that the figures were made of, for programs: anything that JSON can say. */
  readonly details?: unknown;
}

/** The first cell of each row is text, all others are numbers. */
export interface Grid {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** Of the last minute, before anything was measured: above the number of processors, times say little. */
  readonly loadAverage: number;
}

export interface Report {
  readonly machine: Machine;
  readonly seconds: number;
  /** By their names. */
  readonly parts: Readonly<Record<string, JudgedPart>>;
  /** Names of the figures that miss their targets. */
  readonly missed: readonly string[];
  /** Why parts could not be measured, by their names. */
  readonly failed: Readonly<Record<string, string>>;
}

export interface JudgedPart extends Measured {
  readonly figures: readonly JudgedFigure[];
}

export interface JudgedFigure extends Figure {
  /** Absent without a target. */
  readonly isMet?: boolean;
}

export function judge(figure: Figure): JudgedFigure {
  const { value, target } = figure;
  if (target === undefined) return figure;
  // What is no number meets nothing.
  return { ...figure, isMet: "atMost" in target ? value <= target.atMost : value >= target.atLeast };
}

/** @param measured by the names of the parts, in the order that they are told in; so those that have `failed`, and why */
export function reportOf(
  machine: Machine,
  seconds: number,
  measured: Readonly<Record<string, Measured>>,
  failed: Readonly<Record<string, string>> = {},
): Report {
  const judged = Object.entries(measured).map(
    ([part, of]) => [part, { ...of, figures: of.figures.map(judge) }] as const,
  );
  const missed = judged.flatMap(([, { figures }]) =>
    figures.filter(({ isMet }) => isMet === false).map(({ name }) => name),
  );
  return { machine, seconds, parts: Object.fromEntries(judged), missed, failed };
}

/** For people; ends with a line break. */
export function table({ machine, seconds, parts, missed, failed }: Report): string {
  const sections = Object.values(parts).map(section);
  for (const [part, why] of Object.entries(failed)) sections.push(`${part} could not be measured: ${why}`);
  const verdict =
    missed.length === 0
      ? sections.length > Object.keys(parts).length
        ? "All other targets are met."
        : "All targets are met."
      : `${missed.length} missed:\n${missed.map((name) => `  ${name}\n`).join("")}`;
  const { cpu, cpus, memoryGiB, node, loadAverage } = machine;
  const where = `${cpu} x${cpus}, ${memoryGiB} GiB, Node ${node}, load average ${loadAverage} before; ${seconds} s`;
  return `${[where, ...sections, verdict.trimEnd()].join("\n\n")}\n`;
}

function section({ title, notes, grid, figures }: JudgedPart): string {
  const rows = figures.map(({ name, value, unit, target, isMet }) => [
    name,
    numberText(value),
    unit ?? "",
    target === undefined ? "" : targetText(target),
    isMet === undefined ? "" : isMet ? "met" : "MISSED",
  ]);
  return [
    title,
    ...notes.map((note) => `  ${note}`),
    ...(grid === undefined ? [] : [...aligned([grid.columns, ...grid.rows], () => true), ""]),
    ...aligned(rows, (column) => column === 1),
  ].join("\n");
}

/** Lines of cells below each other; those of the first column begin at the left. */
function aligned(rows: readonly (readonly string[])[], isRight: (column: number) => boolean): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column > 0 && isRight(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function targetText(target: Target): string {
  return "atMost" in target ? `<= ${numberText(target.atMost)}` : `>= ${numberText(target.atLeast)}`;
}

function numberText(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: Math.abs(value) >= 1_000 ? 21 : 4 });
}
