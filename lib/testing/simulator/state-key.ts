/**
 * When two worlds are the same: then whatever can happen in one can happen in the other, and one of them is enough.
 *
 * A key is all that the future depends on, as text: what is stored, messages, what each process was told (`histories.ts`), the
 * time, what the checks remember, and what the explorer has left to do. Nothing is left out of it but how often a message has
 * come beyond the second time: the worker asks only whether it is the first.
 *
 * Names of processes, and all ids that they make, are only ever compared with each other. So they are numbered in the order
 * in which they appear, and two worlds whose processes have changed places are one. The numbering is one to one: worlds
 * with the same key differ in names alone. The order of things that have none is chosen without looking at names; where it
 * leaves a tie, equal worlds may get two keys, which costs time and hides nothing.
 */
import { createHash } from "node:crypto";
import { hashSecret } from "../../runtime/task-token.ts";
import { fieldsText, type Histories } from "./histories.ts";
import type { Process } from "./processes.ts";
import type { Receipt, StoredMessage } from "./simulated-queue.ts";
import type { World } from "./world.ts";

export interface KeyedWorld {
  readonly world: World;
  readonly histories: Histories;
  /** Processes that handle messages, which are alike; the others are told apart by their place. */
  readonly workers: number;
  readonly holderOf: (receipt: Receipt) => Process | undefined;
  /** What else the future depends on. */
  readonly rest: readonly string[];
}

export function stateKey(keyed: KeyedWorld): string {
  const { world, histories, workers, rest } = keyed;
  const { machinery, seen } = world;
  const { store, queue, clock, processes } = machinery;
  const processText = (process: Process): string => `${process.name} ${histories.textOf(process)}`;
  const text = [
    String(clock.now()),
    ...rest,
    ...[...store.runs].map(([id, fields]) => `${id}=${fieldsText(fields)}`).sort(),
    ...[...store.removals.keys()].sort(),
    ...inOrder([...store.contents()].map(([place, content]) => `${place}=${content}`)),
    ...inOrder(queue.messages.map((message) => messageText(message, keyed))),
    ...processes.slice(workers).map(processText),
    ...inOrder(processes.slice(0, workers).map(processText)),
    ...[...seen.successes].map(String).sort(),
    ...inOrder([...seen.eventIds, ...seen.badEnds, ...seen.told, ...seen.terminated]),
  ].join("\n\n");
  return createHash("sha1")
    .update(renamed(withSecrets(text)))
    .digest("base64");
}

/** Names of processes, of owners that they name, and ids that they make. */
const names = /\b([A-Z]\d+)(?:-([0-9a-z]+)|x(\d+))?\b/g;

function renamed(text: string): string {
  const known = new Map<string, string>();
  const numberOf = (kind: string, name: string): string => {
    const number = known.get(kind + name) ?? `${kind}${known.size}`;
    known.set(kind + name, number);
    return number;
  };
  return text.replace(names, (name, process: string, owner?: string, id?: string) => {
    const of = numberOf("P", process);
    if (owner === undefined && id === undefined) return of;
    return `${of}${numberOf(owner === undefined ? "x" : "-", name)}`;
  });
}

function inOrder(texts: readonly string[]): string[] {
  if (texts.length < 2) return [...texts];
  const nameless = texts.map((text) => [withSecrets(text).replace(names, "?"), text] as const);
  return nameless.sort(([a, as], [b, bs]) => (a === b ? (as < bs ? -1 : 1) : a < b ? -1 : 1)).map(([, text]) => text);
}

function messageText(message: StoredMessage, { holderOf }: KeyedWorld): string {
  const { body, visibleAtMs, heldBy, receiveCount } = message;
  const holder = heldBy === undefined ? undefined : holderOf(heldBy);
  const held = heldBy === undefined ? "free" : holder?.alive === true ? `held by ${holder.name}` : "lost";
  return `${JSON.stringify(body)} ${visibleAtMs} ${Math.min(receiveCount, 3)} ${held}`;
}

/** By its hash, the secret of a task token: a run keeps only that, and it hides who made it. */
const secrets = new Map<string, string>();
const hashes = /[\w-]{22}/g;

/** @param secret as a process has made it */
export function rememberSecret(secret: string): void {
  secrets.set(hashSecret(secret), `#${secret}`);
}

function withSecrets(text: string): string {
  return secrets.size === 0 ? text : text.replace(hashes, (hash) => secrets.get(hash) ?? hash);
}
