/** Rows in columns that fit the terminal. */
import { dim } from "yoctocolors";
import type { Line } from "../dev/run-frame.ts";
import { oneLine } from "../dev/text.ts";

/** Text and its colour. Whatever users and servers put into it, it stays on its line. */
export type Cell = string | readonly [text: string, style: (text: string) => string];

export interface Column {
  readonly title: string;
  /** Numbers read best to the right. @default "left" */
  readonly align?: "left" | "right";
}

/** The last column is as long as it is: what does not fit the terminal is cut there first. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Line[] {
  const clean = rows.map((row) => row.map(cleanCell));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...clean.map((row) => row[index]?.[0].length ?? 0)),
  );
  const head = columns.map(({ title }) => [title, dim] as const);
  return [head, ...clean].map((row) =>
    row.flatMap((cell, index): Line => {
      const [text, style] = cell;
      const isLast = index === columns.length - 1;
      const width = isLast ? 0 : (widths[index] ?? 0);
      const padded = columns[index]?.align === "right" ? text.padStart(widths[index] ?? 0) : text.padEnd(width);
      const piece = style === undefined ? ([padded] as const) : ([padded, style] as const);
      return isLast ? [piece] : [piece, ["  "]];
    }),
  );
}

function cleanCell(cell: Cell): readonly [text: string, style?: (text: string) => string] {
  return typeof cell === "string" ? [oneLine(cell)] : [oneLine(cell[0]), cell[1]];
}
