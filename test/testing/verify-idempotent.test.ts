// Hunts: a step that does more when it runs twice, and is told to be idempotent; and one that is not, and is blamed.
import { expect, test } from "vitest";
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { type ExploreTools, NotIdempotentError, TestError, verifyIdempotent } from "../../lib/testing/index.ts";

class Mailer {
  readonly sent: string[] = [];

  async send(to: string, key: string): Promise<number> {
    if (!this.sent.includes(key)) this.sent.push(key);
    return this.sent.length;
  }
}

const mailing = (t: ExploreTools, keyOf: (key: string, attempt: number) => string, knowsState = true) => {
  const state = knowsState ? { state: ({ sent }: Mailer) => sent } : {};
  const mailer = t.service("mailer", new Mailer(), state);
  return workflow("mailing", { input: z.object({ to: z.string() }) }, (w) => {
    const list = w.step("list", { run: () => ["a"] });
    const ask = w.step("ask", {
      run: async ({ interrupt }) => `${await interrupt("Sure?", z.string())} ${await mailer.send("", "x")}`,
    });
    w.sleep("rest", { duration: "1d" });
    const each = w.map("each", {
      after: [list],
      items: () => ["a"],
      run: ({ item, idempotencyKey }) => mailer.send(item, idempotencyKey),
    });
    return w.step("mail", {
      after: [list, ask, each],
      run: ({ input, idempotencyKey, attempt }) => mailer.send(input.to, keyOf(idempotencyKey, attempt)),
      compensate: ({ outcome, output, attempt }) => mailer.send(`${outcome} ${output}`, String(attempt)),
    });
  });
};

const input = { to: "ada" };

test("the same key makes it one", async () => {
  await verifyIdempotent((t) => mailing(t, (key) => key), "mail", { input });
  await verifyIdempotent((t) => mailing(t, (key) => key, false), "mail", { input });
  await verifyIdempotent((t) => mailing(t, (key) => key), "each", { item: "a" });
  await verifyIdempotent((t) => mailing(t, (key) => key), "ask", { answers: ["yes"] });
});

test("another key is shown with what it does", async () => {
  const verified = verifyIdempotent((t) => mailing(t, (key, attempt) => `${key} ${attempt}`), "mail", { input });
  await expect(verified).rejects.toThrow(NotIdempotentError);
  await expect(verified).rejects.toThrow(
    [
      'Step "mail" of workflow "mailing" is not idempotent: run twice with the same idempotencyKey, it differs from once.',
      "  - it returned 1, and the second time 2",
      '  - mailer: once ["verified/mail 1"], twice ["verified/mail 1","verified/mail 2"]',
    ].join("\n"),
  );
});

test("without knowing what the service comes to, a call without the key is one too many", async () => {
  const verified = verifyIdempotent((t) => mailing(t, () => "none", false), "mail", { input });
  await expect(verified).rejects.toThrow('mailer.send("ada", "none") was called again without the key');
});

test("so are compensations", async () => {
  const verified = verifyIdempotent((t) => mailing(t, (key) => key), "mail", { input, undo: { output: 1 } });
  await expect(verified).rejects.toThrow(/^The compensation of step "mail".*once \["1"\], twice \["1","2"\]/s);
});

test("a plain workflow is looked at by its effects", async () => {
  const list: number[] = [];
  const plain = workflow("plain", {}, (w) => w.step("add", { run: () => void list.push(1) }));
  const options = { reset: () => void list.splice(0), effects: () => list };
  await expect(verifyIdempotent(plain, "add", options)).rejects.toThrow("effects: once [1], twice [1,1]");
});

test("the second time it may not throw either", async () => {
  const list: number[] = [];
  const strict = workflow("strict", {}, (w) =>
    w.step("add", {
      run: () => {
        if (list.push(1) > 1) throw new Error("is there already");
      },
    }),
  );
  const options = { reset: () => void list.splice(0), effects: () => list.includes(1) };
  await expect(verifyIdempotent(strict, "add", options)).rejects.toThrow("Error: is there already");
});

test.each([
  ["step", "nowhere", {}, 'Workflow "mailing" has no step "nowhere". It has: list, ask, rest, each, mail.'],
  ["step that runs code", "rest", {}, 'Step "rest" is a sleep and runs no code, so there is nothing to verify.'],
  ["compensation", "list", { undo: { output: 1 } }, 'Step "list" has no compensation'],
  ["answer", "ask", {}, 'It asks "Sure?". Give the answer in answers.'],
])("without a %s there is nothing to verify", async (_name, step, options, message) => {
  await expect(verifyIdempotent((t) => mailing(t, (key) => key), step, options)).rejects.toThrow(message);
});

test("what nobody sees cannot be verified", async () => {
  const plain = workflow("plain", {}, (w) => w.step("add", { run: () => 1 }));
  await expect(verifyIdempotent(plain, "add", {})).rejects.toThrow(TestError);
});
