#!/usr/bin/env node
/** The command line's entry point. It says so when Node is too old, before anything is loaded that would fail on it. */
import process from "node:process";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `pawl: this is Node ${process.version}; Pawl needs 22.13 or newer, best 24 (https://nodejs.org).\n`,
  );
  process.exit(1);
}
const { main } = await import("../lib/cli/main.ts");
// At once: code of users may have left timers and connections behind.
process.exit(await main(process.argv.slice(2)));
