// What users' steps throw, and how. Its stacks are compared as it runs from source, bundled and with source maps.
class CardDeclined extends Error {}

class ServiceDown extends Error {
  override readonly name = "ServiceDown";
}

async function callService(id: string): Promise<void> {
  await Promise.resolve();
  throw new Error(`The service does not know ${id}`);
}

function walk(depth: number): never {
  if (depth > 0) return walk(depth - 1);
  throw new Error(`too deep for ${depth}`);
}

function assertPositive(value: number): void {
  if (value <= 0) throw new RangeError(`${value} is not positive`);
}

class Gateway {
  async charge(id: string): Promise<void> {
    await callService(id);
  }

  static open(id: string): never {
    throw new Error(`Gateway ${id} is closed`);
  }
}

class Wrapper {
  async charge(id: string): Promise<void> {
    try {
      await new Gateway().charge(id);
    } catch (cause) {
      throw new ServiceDown(`charge of ${id} failed`, { cause });
    }
  }

  async refund(id: string): Promise<void> {
    try {
      await fetch(`http://127.0.0.1:1/${id}`);
    } catch (cause) {
      throw new ServiceDown(`refund of ${id} failed`, { cause });
    }
  }
}

const total = (amounts: readonly number[]): void => {
  for (const amount of amounts) assertPositive(amount);
};

const price = (amount: number): void => {
  assertPositive(amount);
};

function withCode(code: string): never {
  throw Object.assign(new Error("The file cannot be read"), { code });
}

function quoteStack(id: string): never {
  throw new Error(`The other side said:\n    at serve${id} (/srv/other-${id}.js:1:2)`);
}

/** By name: what the step does with an input of its run. No two of them are the same failure. */
export const codes: Readonly<Record<string, (id: string) => unknown>> = {
  here: (id) => {
    throw new Error(`No ${id}`);
  },
  ofClass: (id) => {
    throw new CardDeclined(`No ${id}`);
  },
  async asynchronous(id) {
    await Promise.resolve();
    throw new Error(`No ${id}`);
  },
  viaService: async (id) => {
    await callService(id);
  },
  viaGateway: (id) => new Gateway().charge(id),
  ofStatic: (id) => Gateway.open(id),
  wrapped: (id) => new Wrapper().charge(id),
  wrappedFetch: (id) => new Wrapper().refund(id),
  recursive: (id) => walk(id.length % 5),
  ofTotal: (id) => {
    total([1, -id.length]);
  },
  ofPrice: (id) => {
    price(-id.length);
  },
  inCallback: (id) =>
    [id].map((one) => {
      throw new Error(`No ${one}`);
    }),
  inParallel: (id) => Promise.all([Promise.resolve(1), callService(id)]),
  late: (id) =>
    new Promise((_resolve, reject) => {
      setTimeout(function giveUp() {
        reject(new Error(`No answer for ${id}`));
      }, 1);
    }),
  parse: (id) => JSON.parse(`{${id}`) as unknown,
  property: (id) => (undefined as unknown as Record<string, number>)[id],
  denied: () => withCode("EACCES"),
  absent: () => withCode("ENOENT"),
  looksLikeStack: (id) => quoteStack(id),
  text: (id) => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- JavaScript lets anything be thrown
    throw `Order "${id}" is gone`;
  },
  otherText: (id) => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- JavaScript lets anything be thrown
    throw `Customer "${id}" is gone`;
  },
};
