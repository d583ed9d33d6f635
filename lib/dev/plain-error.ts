/** A problem that the person at the terminal can solve: shown as its message alone, without a stack. */
export class PlainError extends Error {
  override readonly name = "PlainError";
  /** 2: the command line is wrong; 1: everything else. */
  readonly exitCode: 1 | 2;

  constructor(message: string, { exitCode = 1, cause }: { readonly exitCode?: 1 | 2; readonly cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
