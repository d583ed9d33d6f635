// Opens the data file named on the command line and prints the error it meets.
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";

try {
  openSqliteBackend({ file: process.argv[2]!, clock: createManualClock(), logger: createRecordingLogger() });
  process.stdout.write(JSON.stringify({ code: "opened" }));
} catch (error) {
  const { code, message } = error as Error & { code: string };
  process.stdout.write(JSON.stringify({ code, message }));
}
