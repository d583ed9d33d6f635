/** Messages that come at least once, in no particular order, and again when whoever holds one does not acknowledge it in time. */
import type { Message, OutgoingMessage } from "../../engine/message.ts";
import type { Disposition } from "../../runtime/ports.ts";

export interface StoredMessage {
  readonly body: Message;
  visibleAtMs: number;
  /** The delivery that holds it. */
  heldBy: Receipt | undefined;
  receiveCount: number;
}

/** Stands for one delivery of a message: whoever has an old one can no longer keep it. */
export interface Receipt {
  readonly message: StoredMessage;
}

const visibilityMs = 40_000;

export class SimulatedQueue {
  messages: StoredMessage[] = [];

  send({ message, delayMs }: OutgoingMessage, nowMs: number): void {
    // What is sent is sent as text: nobody shares it with its sender.
    const body = JSON.parse(JSON.stringify(message)) as Message;
    this.messages.push({ body, visibleAtMs: nowMs + delayMs, heldBy: undefined, receiveCount: 0 });
  }

  visible(nowMs: number): StoredMessage[] {
    return this.messages.filter(({ heldBy, visibleAtMs }) => heldBy === undefined && visibleAtMs <= nowMs);
  }

  receive(message: StoredMessage, nowMs: number): Receipt {
    const receipt = { message };
    message.heldBy = receipt;
    message.receiveCount++;
    message.visibleAtMs = nowMs + visibilityMs;
    return receipt;
  }

  extend(receipt: Receipt, untilMs: number): void {
    if (receipt.message.heldBy === receipt) receipt.message.visibleAtMs = untilMs;
  }

  dispose(receipt: Receipt, disposition: Disposition, nowMs: number): void {
    const { message } = receipt;
    // SQS may delete a message by an old receipt, too, although somebody else is at work on it by now.
    if (disposition.kind !== "redeliver") this.messages = this.messages.filter((one) => one !== message);
    if (message.heldBy !== receipt) return;
    message.heldBy = undefined;
    if (disposition.kind === "redeliver") message.visibleAtMs = nowMs + disposition.delayMs;
  }

  /** Although somebody is still at work on it. */
  showAgain(message: StoredMessage, nowMs: number): void {
    message.heldBy = undefined;
    message.visibleAtMs = nowMs;
  }

  /** Comes twice from now on, at the same time. */
  copy(message: StoredMessage): void {
    this.messages.push({ ...message, heldBy: undefined, receiveCount: 0 });
  }

  timePasses(untilMs: number): void {
    for (const message of this.messages) if (message.visibleAtMs <= untilMs) message.heldBy = undefined;
  }

  /** When messages become visible by themselves. */
  times(nowMs: number): number[] {
    return this.messages.map(({ visibleAtMs }) => visibleAtMs).filter((atMs) => atMs > nowMs);
  }
}

export function describeMessage(message: Message): string {
  const at = "step" in message ? ` s${message.step}` : "";
  if (message.kind !== "step") return `${message.runId} ${message.kind}${at}`;
  return `${message.runId}${at}@${message.attempt}${message.wakeAtMs === undefined ? "" : "!"}`;
}
