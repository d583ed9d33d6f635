/**
 * A nightly import: one run for each customer, ten at a time, and a report when all have ended. A customer whose import
 * fails does not stop the others; when too many fail, the night has failed, and a redrive imports those that are missing.
 * The customers' systems are simulated at the end of this file.
 *
 *     npx pawl dev examples/import.ts --demo examples/import.json --demo-workflow import
 */
import { FatalError, workflow } from "pawl";
import * as z from "zod";

const Night = z.object({
  day: z.iso.date(),
  customers: z
    .array(z.string().regex(/^[a-z][a-z0-9-]*$/))
    .min(1)
    .max(10_000),
});

const Customer = z.object({ customer: z.string(), day: z.iso.date() });

export const customerImport = workflow("customer-import", { input: Customer, timeout: "2h" }, (w) => {
  const download = w.step("download", {
    retry: { maxAttempts: 3, backoff: { type: "fixed", base: "5s" } },
    run: ({ input, attempt }) => downloadOrders(input.customer, input.day, attempt),
  });
  return w.step("load", {
    after: [download],
    run: ({ input, outputs, idempotencyKey }) => loadOrders(input.customer, outputs.download, idempotencyKey),
  });
});

export const reporting = workflow(
  "reporting",
  { input: z.object({ day: z.iso.date(), rows: z.int(), missing: z.array(z.string()) }) },
  (w) =>
    w.step("send", {
      run: ({ input: { day, rows, missing } }) =>
        `${rows} orders of ${day}${missing.length === 0 ? "" : `; missing: ${missing.join(", ")}`}`,
    }),
);

export const nightlyImport = workflow("import", { input: Night, timeout: "8h" }, (w) => {
  const imports = w.map("imports", {
    each: customerImport,
    items: ({ input }) => input.customers.map((customer) => ({ customer, day: input.day })),
    concurrency: 10,
    toleratedFailures: "20%",
  });

  const total = w.step("total", {
    after: [imports],
    run: async ({ input, outputs }) => {
      let rows = 0;
      for await (const one of outputs.imports) rows += one?.rows ?? 0;
      const missing = (await outputs.imports.errors()).map(({ index }) => input.customers[index] ?? String(index));
      return { rows, missing };
    },
  });

  return w.child("report", {
    workflow: reporting,
    after: [total],
    input: ({ input, outputs }) => ({ day: input.day, ...outputs.total }),
    // Whoever cancels the night still wants to know how far it came.
    whenParentEnds: "leave",
  });
});

// From here on: the systems of the customers, simulated.

/** Customers whose password has expired. */
export const lockedOut = new Set((process.env.IMPORT_LOCKED_OUT ?? "hooli").split(","));

function downloadOrders(customer: string, day: string, attempt: number): { file: string; rows: number } {
  if (lockedOut.has(customer)) throw new FatalError(`${customer} answers 401: its password has expired.`);
  // Some are slow to wake up.
  if (customer.length % 5 === 0 && attempt === 1) throw new Error(`${customer} answers 503.`);
  return { file: `${customer}-${day}.csv`, rows: customer.length * 100 };
}

function loadOrders(customer: string, { rows }: { rows: number }, idempotencyKey: string) {
  return { table: `orders_${customer.replaceAll("-", "_")}`, rows, batch: idempotencyKey };
}
