/**
 * Knows on whose behalf things are done in this process, and what of it still goes on when its owner has ended.
 *
 * What can still happen in a process hangs on a resource (a timer, a socket, a request to the system), or goes on by
 * itself in the next turns of the event loop. So two looks are enough:
 * 1. At the owner's end, for resources that are open. Work counts at once; what is being closed gets a moment.
 * 2. After it, for code that goes on: it makes a resource, or, while that is watched, makes or settles a promise.
 *
 * A promise that nothing will ever settle is no work; neither is what Node or a package does for itself. Promises are
 * watched only after an end: at all times it would cost a third of what promises cost. Not seen is an immediate whose
 * callback neither awaits nor begins anything.
 */
import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { fileURLToPath } from "node:url";
import { promiseHooks } from "node:v8";

/** On whose behalf something is done. */
export interface Owner {
  readonly name: string;
  hasEnded: boolean;
}

interface Kind {
  readonly what: string;
  /** Goes on with work by itself; what does not is open until it is closed. */
  readonly isWork: boolean;
  /** Also when a package made it: one that keeps no process alive is idle, and kept for the next request. */
  readonly mayBeIdle?: boolean;
}

/** By the names of `node:async_hooks`. */
const kinds: Readonly<Record<string, Kind>> = {
  Timeout: { what: "a timer", isWork: true },
  FSREQCALLBACK: { what: "a request to the file system", isWork: true },
  FSREQPROMISE: { what: "a request to the file system", isWork: true },
  GETADDRINFOREQWRAP: { what: "the look-up of a name", isWork: true },
  TCPCONNECTWRAP: { what: "a connection being made", isWork: true },
  TCPWRAP: { what: "a connection", isWork: false, mayBeIdle: true },
  PIPEWRAP: { what: "a pipe", isWork: false },
  TCPSERVERWRAP: { what: "a server", isWork: false },
  PIPESERVERWRAP: { what: "a server", isWork: false },
  PROCESSWRAP: { what: "a child process", isWork: false },
  WORKER: { what: "a thread", isWork: false },
  FSEVENTWRAP: { what: "a watched file", isWork: false },
  STATWATCHER: { what: "a watched file", isWork: false },
};

interface Resource {
  readonly kind: Kind;
  readonly owner: Owner | undefined;
  readonly begun: Error;
  readonly handle: WeakRef<{ readonly _destroyed?: boolean; hasRef?(): boolean }>;
}

const owners = new AsyncLocalStorage<Owner>();
const resources = new Map<number, Resource>();
/** What was done for owners that had ended, by owner and place. */
const late = new Map<string, string>();

const hook = {
  // Unknown to Node 22, which tells of promises, too: they are none of the kinds.
  trackPromises: false,
  init(id: number, type: string, _trigger: number, handle: object): void {
    // Most of all, and over in the next turn.
    if (type === "TickObject" || type === "Immediate") return;
    const kind = kinds[type];
    if (kind === undefined) return;
    const owner = owners.getStore();
    const begun = here();
    resources.set(id, { kind, owner, begun, handle: new WeakRef(handle) });
    if (owner?.hasEnded === true) noteLate(owner, kind.what, begun);
  },
  destroy(id: number): void {
    resources.delete(id);
  },
};
createHook(hook).enable();

/** What `work` begins, and what follows from that, is the owner's, who ends with it. */
export async function onBehalfOf(owner: Owner, work: () => Promise<void>): Promise<void> {
  try {
    await owners.run(owner, work);
  } finally {
    owner.hasEnded = true;
  }
}

/**
 * A line for each thing that the owner has left, and for each that was done meanwhile for another that had ended.
 *
 * @param owner one that has ended; `undefined` for what is done on nobody's behalf
 */
export async function leftBy(owner: Owner | undefined): Promise<readonly string[]> {
  const open = (): Resource[] => [...resources.values()].filter((one) => one.owner === owner && isOpen(one));
  const work = open().filter(({ kind }) => kind.isWork);
  const unwatch = watchPromises();
  for (let turn = 0; turn < watchedTurns; turn++) await nextTurn();
  for (let look = 0; look < closingLooks && open().some(({ kind }) => !kind.isWork); look++) await pause();
  unwatch();
  const left = new Set([...work, ...open()]);
  const found = [...left].map(({ kind, begun }) => {
    const place = placeOf(begun);
    return `${kind.what}, begun ${place === undefined ? "by Node or a package" : `at ${place}`}`;
  });
  const goneOn = [...late.values()];
  late.clear();
  return [...new Set([...found, ...goneOn])];
}

const watchedTurns = 3;
const closingLooks = 40;

function isOpen({ kind, begun, handle }: Resource): boolean {
  const it = handle.deref();
  if (it === undefined || it._destroyed === true) return false;
  return kind.mayBeIdle === true ? it.hasRef?.() !== false : placeOf(begun) !== undefined;
}

function watchPromises(): () => void {
  const look = (): void => {
    const owner = owners.getStore();
    if (owner?.hasEnded === true) noteLate(owner, "code", here());
  };
  return promiseHooks.createHook({ init: look, settled: look }) as () => void;
}

function noteLate({ name }: Owner, what: string, at: Error): void {
  const place = placeOf(at);
  if (place !== undefined) late.set(`${name} ${place}`, `${what} that went on after the end of "${name}", at ${place}`);
}

function here(): Error {
  const limit = Error.stackTraceLimit;
  // Between a call of ours and the resource lie up to some fifteen of Node's.
  Error.stackTraceLimit = 25;
  const error = new Error();
  Error.stackTraceLimit = limit;
  return error;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
/** What stands around every test. */
const setup = /test\/tooling\/(loopback-only|no-leftovers|work-tracker)\./;
/** Timers of connections end with these; those of abort signals do nothing but abort. */
const byItself = /\/node_modules\/|node:internal\/(deps|abort_controller|http|streams)|node:_http/;

/** Where in the repository, innermost first; `undefined` when Node or a package acts for itself. */
function placeOf({ stack = "" }: Error): string | undefined {
  const calls = stack.split("\n").slice(1);
  const isOwn = (call: string): boolean => call.includes(root) && !byItself.test(call) && !setup.test(call);
  const first = calls.findIndex(isOwn);
  if (first === -1 || calls.slice(0, first).some((call) => byItself.test(call))) return undefined;
  const places = calls.slice(first).filter(isOwn).slice(0, 3);
  return places
    .map((call) =>
      call
        .replace(/^ *at /, "")
        .replace(`file://${root}`, "")
        .replace(root, ""),
    )
    .join(" < ");
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
}
