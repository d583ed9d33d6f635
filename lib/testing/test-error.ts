/** A test asked for something that cannot be: what was seen, and what to do, is in the message. */
export class TestError extends Error {
  override readonly name = "TestError";
}
