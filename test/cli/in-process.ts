// The command line in this process: for what needs no terminal, and would take minutes with a process for each line.
import type { Command } from "commander";
import { vi } from "vitest";
import { main } from "../../lib/cli/main.ts";

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Types a line, and returns what is said. It throws what the process would die of. */
export async function say(...args: string[]): Promise<Said> {
  const said = { out: "", err: "" };
  const take =
    (where: keyof typeof said) =>
    (text: unknown, done?: unknown): boolean => {
      said[where] += String(text);
      if (typeof done === "function") done();
      return true;
    };
  const out = vi.spyOn(process.stdout, "write").mockImplementation(take("out"));
  const err = vi.spyOn(process.stderr, "write").mockImplementation(take("err"));
  try {
    return { code: await main(args), ...said };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

/** Commands that do something themselves, with their paths. */
export function leaves(
  command: Command,
  path: readonly string[] = [],
): { readonly path: readonly string[]; readonly command: Command }[] {
  return command.commands.flatMap((one) => {
    const inner = [...path, one.name()];
    return one.commands.length > 0 ? leaves(one, inner) : [{ path: inner, command: one }];
  });
}
