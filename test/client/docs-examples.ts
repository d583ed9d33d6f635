// The code of docs/client.md, so that the compiler reads it.
import { createClient, createHttpClient, PawlError } from "pawl/client";
import { hello } from "../../examples/hello.ts";

export async function direct(): Promise<void> {
  await using pawl = createClient({ workflows: [hello] });
  const { runId } = await pawl.start(hello, { input: { name: "Ada" }, runId: "hello-ada", tags: { shop: "a" } });
  const greeting = await pawl.result(hello, runId, { timeout: "10m" });
  console.log(greeting);
}

export async function overHttp(url: string): Promise<void> {
  const pawl = createHttpClient({ url: "https://abc.execute-api.eu-central-1.amazonaws.com" });
  const local = createHttpClient({ url: "http://127.0.0.1:7070" });
  const partner = createHttpClient({ url, auth: { bearer: () => fetchToken() } });
  await Promise.all([pawl, local, partner].map((client) => client.close()));
}

export async function waiting(pawl: ReturnType<typeof createClient>, runId: string): Promise<void> {
  try {
    const run = await pawl.waitForCompletion(runId, { timeout: "2h", signal: AbortSignal.timeout(60_000) });
    console.log(run.status, run.output);
  } catch (error) {
    if (!(error instanceof PawlError)) throw error;
    if (error.code === "wait_timeout") console.log("it goes on");
    else if (error.code === "run_parked") console.log("deploy what is missing, then resume it:", error.message);
    else throw error;
  }
}

declare function fetchToken(): Promise<string>;
