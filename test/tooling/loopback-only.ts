/**
 * Runs before every test file: a connection to anything but this machine fails at once, with the reason, so that no test
 * depends on the network by accident. Suites for a real endpoint set PAWL_TEST_NETWORK=1.
 */
import { Socket } from "node:net";

const LOOPBACK = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|::1|0\.0\.0\.0|::)$/;

/** What `net` passes on: its own arguments, normalised to an array. */
function hostOf(args: readonly unknown[]): string | undefined {
  const [first, second] = (Array.isArray(args[0]) ? args[0] : args) as readonly unknown[];
  if (typeof first === "number") return typeof second === "string" ? second : undefined;
  if (typeof first !== "object" || first === null || !("host" in first)) return undefined;
  return typeof first.host === "string" ? first.host : undefined;
}

if (process.env.PAWL_TEST_NETWORK !== "1") {
  const connect = Socket.prototype.connect as (...args: unknown[]) => Socket;
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
    const host = hostOf(args);
    if (host !== undefined && !LOOPBACK.test(host)) {
      const error = new Error(
        `This test connects to ${host}. Tests use only this machine; set PAWL_TEST_NETWORK=1 to allow more.`,
      );
      return this.destroy(error);
    }
    return connect.apply(this, args);
  };
}
