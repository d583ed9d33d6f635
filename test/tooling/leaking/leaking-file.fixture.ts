// A file that leaves a server behind which belongs to none of its tests: see leftovers.test.ts.
import { once } from "node:events";
import { createServer } from "node:http";
import { afterAll, beforeAll, test } from "vitest";

const closed = createServer();
const left = createServer();

beforeAll(async () => {
  closed.listen(0);
  left.listen(0);
  left.unref();
  await once(left, "listening");
});

afterAll(async () => {
  closed.close();
  await once(closed, "close");
});

test("passes", () => undefined);
