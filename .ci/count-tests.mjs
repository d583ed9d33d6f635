/** Prints "PASSED FAILED" of a vitest JSON report: `node .ci/count-tests.mjs REPORT EXIT_STATUS`. */
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";

const [report = "", status] = process.argv.slice(2);
const {
  numPassedTests = 0,
  numFailedTests = 0,
  testResults = [],
} = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : {};
// A file that does not even load has no tests to fail.
const unloadable = testResults.filter(
  ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
);
const failed = numFailedTests + unloadable.length;
// Unhandled errors and crashes fail the run without failing a test.
console.log(numPassedTests, failed === 0 && status !== "0" ? 1 : failed);
