/**
 * npm leaves optional packages that it could not fetch (binaries for other platforms)
 * out of package-lock.json, and `npm ci` then refuses the lockfile on every machine. This adds the missing entries.
 *
 *   node .ci/lockfile.mjs           completes package-lock.json; run it after each npm install that changes the file
 *   node .ci/lockfile.mjs --check   only says whether something is missing
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isLocked(path, name))
    .map(([name, version]) => [`node_modules/${name}`, platformPackage(name, version, entry)]),
);

if (missing.length === 0) {
  console.log("package-lock.json is complete");
} else if (process.argv.includes("--check")) {
  console.error(`package-lock.json lacks ${missing.map(([path]) => path).join(", ")}: run node .ci/lockfile.mjs`);
  process.exitCode = 1;
} else {
  const entries = [...Object.entries(lock.packages), ...missing].sort(([a], [b]) => a.localeCompare(b, "en"));
  lock.packages = Object.fromEntries(entries);
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${missing.length} entries added`);
}

/** As Node resolves it: in the package's own node_modules, or in one of its ancestors'. */
function isLocked(path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules/") - 1))) {
    if (`${folder === "" ? "" : `${folder}/`}node_modules/${name}` in lock.packages) return true;
    if (folder === "") return false;
  }
}

/** What npm needs to know to skip the package here and to install it where it belongs, read from its name. */
function platformPackage(name, version, { dev, devOptional, license }) {
  const words = name.split(/[/-]/);
  const os = words.find((word) =>
    /^(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)$/.test(word),
  );
  const cpu = words.find((word) => /^(arm|arm64|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)$/.test(word));
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(
      `${name}@${version}: its platform or exact version cannot be told; add it to package-lock.json by hand`,
    );
  }
  const libc = os === "linux" && words.map((word) => /^(musl|gnu)/.exec(word)?.[1]).find(Boolean);
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...(devOptional && { devOptional }),
    ...(libc && { libc: [libc === "gnu" ? "glibc" : "musl"] }),
    license,
    optional: true,
    os: [os],
  };
}
