import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { type DeadLetter, deadLettersKept } from "./backend.ts";
import { parseBody, type QueuedMessage } from "./due-queue.ts";

/** Messages and dead letters as rows: all of the queue's SQL. */
export class MessageRows {
  readonly #atHand: StatementSync;
  readonly #lastId: StatementSync;
  readonly #nextParked: StatementSync;
  readonly #parked: StatementSync;
  readonly #unpark: StatementSync;
  readonly #insert: StatementSync;
  readonly #reschedule: StatementSync;
  readonly #rebase: StatementSync;
  readonly #remove: StatementSync;
  readonly #insertDead: StatementSync;
  readonly #trimDead: StatementSync;
  readonly #dead: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = "id, task_queue, json, scheduled_at_ms, due_at_ms, receive_count, failures";
    this.#atHand = db.prepare(`SELECT ${columns} FROM message WHERE parked = 0`);
    this.#lastId = db.prepare("SELECT max(id) AS id FROM message");
    this.#nextParked = db.prepare("SELECT min(due_at_ms) AS due_at_ms FROM message WHERE parked = 1");
    this.#parked = db.prepare(
      `SELECT ${columns} FROM message WHERE parked = 1 AND due_at_ms <= ? ORDER BY due_at_ms, id LIMIT ?`,
    );
    this.#unpark = db.prepare("UPDATE message SET parked = 0 WHERE id = ?");
    this.#insert = db.prepare(`INSERT INTO message (${columns}, parked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#reschedule = db.prepare(
      `UPDATE message SET scheduled_at_ms = ?, due_at_ms = ?, receive_count = ?, failures = ?, parked = ? WHERE id = ?`,
    );
    this.#rebase = db.prepare(
      `UPDATE message SET due_at_ms = ?1 + due_at_ms - scheduled_at_ms, scheduled_at_ms = ?1 WHERE scheduled_at_ms > ?1`,
    );
    this.#remove = db.prepare("DELETE FROM message WHERE id = ?");
    this.#insertDead = db.prepare(
      `INSERT INTO dead_letter (task_queue, json, reason, receive_count, dead_at_ms) VALUES (?, ?, ?, ?, ?)`,
    );
    this.#trimDead = db.prepare("DELETE FROM dead_letter WHERE id <= ?");
    this.#dead = db.prepare("SELECT * FROM dead_letter ORDER BY id DESC LIMIT ?");
  }

  /** Everything that is not parked. */
  atHand(): QueuedMessage[] {
    return this.#atHand.all().map(messageOf);
  }

  lastId(): number {
    return Number(this.#lastId.get()?.id ?? 0);
  }

  /** When the first parked message is due. */
  nextParkedAtMs(): number | undefined {
    const dueAtMs = this.#nextParked.get()?.due_at_ms;
    return typeof dueAtMs === "number" ? dueAtMs : undefined;
  }

  /** Messages that have been due at that time, earliest first; they are parked no more. */
  unpark(dueAtMs: number, max: number): QueuedMessage[] {
    const messages = this.#parked.all(dueAtMs, max).map(messageOf);
    for (const { id } of messages) this.#unpark.run(id);
    return messages;
  }

  insert(message: QueuedMessage, parked: boolean): void {
    const { id, taskQueue, json, scheduledAtMs, dueAtMs, receiveCount, failures } = message;
    this.#insert.run(id, taskQueue, json, scheduledAtMs, dueAtMs, receiveCount, failures, Number(parked));
  }

  reschedule(message: QueuedMessage, parked: boolean): void {
    const { id, scheduledAtMs, dueAtMs, receiveCount, failures } = message;
    this.#reschedule.run(scheduledAtMs, dueAtMs, receiveCount, failures, Number(parked), id);
  }

  /** Messages scheduled after `nowMs` keep their delay and lose their head start. */
  rebase(nowMs: number): void {
    this.#rebase.run(nowMs);
  }

  remove(id: number): void {
    this.#remove.run(id);
  }

  bury({ id, taskQueue, json, receiveCount }: QueuedMessage, reason: string, deadAtMs: number): void {
    const { lastInsertRowid } = this.#insertDead.run(taskQueue, json, reason, receiveCount, deadAtMs);
    this.#trimDead.run(Number(lastInsertRowid) - deadLettersKept);
    this.#remove.run(id);
  }

  /** The newest dead letters, newest first. */
  dead(limit: number): DeadLetter[] {
    return this.#dead.all(limit).map((row) => ({
      taskQueue: row.task_queue as string,
      body: parseBody(row.json as string),
      reason: row.reason as string,
      receiveCount: row.receive_count as number,
      deadAtMs: row.dead_at_ms as number,
    }));
  }
}

function messageOf(row: Record<string, SQLOutputValue>): QueuedMessage {
  return {
    id: row.id as number,
    taskQueue: row.task_queue as string,
    json: row.json as string,
    scheduledAtMs: row.scheduled_at_ms as number,
    dueAtMs: row.due_at_ms as number,
    receiveCount: row.receive_count as number,
    failures: row.failures as number,
  };
}
