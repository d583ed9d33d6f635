#!/usr/bin/env node
/**
 * Makes a fresh clone ready to run: installs what package-lock.json names, then compiles lib/, functions/ and bin/ into dist/.
 * Does nothing, in well under a second, when both are up to date. Runs before `npm start`, `npm test` and `npm run verify`.
 *
 * It has to run before anything is installed: plain JavaScript, no dependencies, any Node from 18 on. What comes after
 * it needs Node 24; the devDependency `node` brings that, and npm puts it first on the PATH of every script.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = 18;
const WANTED_NODE = 24;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installedNode = join(root, "node_modules/node/bin", process.platform === "win32" ? "node.exe" : "node");
const stampFile = join(root, "dist/.sources");

class SetupError extends Error {}

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
});

async function main() {
  if (major(process.version) < OLDEST_NODE) {
    throw new SetupError(
      `this is Node ${process.version}, and npm needs Node ${OLDEST_NODE} or newer to install Pawl. ` +
        `Install Node ${WANTED_NODE} (https://nodejs.org) and try again.`,
    );
  }
  if (!isInstalled()) await install();
  const node = nodeForScripts();
  if (node === undefined) {
    throw new SetupError(
      `this is Node ${process.version}, Pawl runs on Node ${WANTED_NODE}, and node_modules has none. The package "node" ` +
        "brings it with an install script: allow that (npm ci --ignore-scripts=false) " +
        `or put Node ${WANTED_NODE} first on the PATH.`,
    );
  }
  const sources = describeSources();
  if (sources !== readOr(stampFile, "")) await build(node, sources);
}

/** npm keeps a list of what it really installed. It appears last, so that an interrupted install counts as none. */
function isInstalled() {
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readOr(join(root, "node_modules/.package-lock.json"), "{}")).packages;
  if (present === undefined || nodeForScripts() === undefined) return false;
  return Object.entries(wanted).every(
    ([path, { version, integrity, optional }]) =>
      path === "" || // this package itself
      (present[path] === undefined
        ? optional // made for another operating system or processor
        : present[path].version === version && (!integrity || present[path].integrity === integrity)),
  );
}

async function install() {
  console.error("setup: installing dependencies (npm ci) …");
  const startedAt = Date.now();
  // The Node that npm itself runs on: node_modules, and the Node in it, is about to be replaced.
  const { npm_execpath: npmCli = "", npm_node_execpath: npmNode = process.execPath } = process.env;
  const [command, ...args] = npmCli.endsWith("npm-cli.js") ? [npmNode, npmCli] : ["npm"];
  // Compiler and Node are devDependencies, which npm leaves out when NODE_ENV is "production".
  const { error, ended } = await run(command, [...args, "ci", "--include=dev", "--loglevel=error"]);
  if (error) {
    throw new SetupError(
      error.code === "ENOENT"
        ? "npm was not found on the PATH. It comes with Node: https://nodejs.org."
        : `npm could not be started: ${error.message}`,
    );
  }
  if (ended !== "exit code 0") {
    throw new SetupError(
      `npm ci ended with ${ended}; its reason is above. The first install needs the network ` +
        "(ENOTFOUND, ETIMEDOUT and ECONNREFUSED say that the registry cannot be reached).",
    );
  }
  console.error(`setup: dependencies installed in ${seconds(startedAt)}`);
}

/** The Node that npm's scripts will find first. */
function nodeForScripts() {
  if (existsSync(installedNode)) return installedNode;
  return major(process.version) >= WANTED_NODE ? process.execPath : undefined;
}

/** One line per file that decides what dist/ holds. */
function describeSources() {
  const files = [
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    ...listSources("lib"),
    ...listSources("functions"),
    ...listSources("bin"),
  ];
  return files
    .map((file) => {
      const { mtimeMs, size } = statSync(join(root, file));
      return `${file} ${mtimeMs} ${size}\n`;
    })
    .join("");
}

function listSources(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return listSources(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

async function build(node, sources) {
  console.error("setup: building dist/ …");
  const startedAt = Date.now();
  const built = pathsOf(readOr(stampFile, ""));
  const current = new Set(pathsOf(sources));
  // The compiler leaves the output of deleted and renamed files behind.
  if (built.some((path) => !current.has(path))) rmSync(join(root, "dist"), { recursive: true, force: true });

  const compiler = join(root, "node_modules/typescript-7/bin/tsc");
  const { error, ended } = await run(node, [compiler, "-p", "tsconfig.build.json"]);
  if (error) {
    throw new SetupError(
      `${node} cannot run here (${error.message}). Put Node ${WANTED_NODE} first on the PATH and delete node_modules/node.`,
    );
  }
  if (ended !== "exit code 0") {
    throw new SetupError(
      "dist/ is not up to date: the compiler's errors are above. (npx vitest runs tests without dist/.)",
    );
  }
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, sources);
  console.error(`setup: dist/ built in ${seconds(startedAt)}`);
}

/** Outlives Ctrl-C until the command has tidied up: a second `npm ci` beside one that is still at work destroys both. */
function run(command, args) {
  return new Promise((resolve) => {
    // What the command says goes to stderr: stdout belongs to the command that follows.
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32" && command === "npm",
    });
    process.on("SIGINT", () => {}); // the terminal tells the command too
    process.on("SIGTERM", () => child.kill());
    child.on("error", (error) => resolve({ error }));
    child.on("exit", (code, signal) => resolve({ ended: signal ?? `exit code ${code}` }));
  });
}

function pathsOf(description) {
  return description.split("\n").map((line) => line.split(" ", 1)[0]);
}

function readOr(file, fallback) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return fallback;
    throw error;
  }
}

function major(version) {
  return Number.parseInt(version.slice(1), 10);
}

function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}
