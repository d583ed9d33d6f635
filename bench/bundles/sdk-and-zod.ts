// The same, and zod as a user's one schema brings it: what a worker with a schema cannot start without.
import * as z from "zod";
import { worker as client } from "./sdk-only.ts";

const used = [client, z.object({ name: z.string().min(1) })];

export const [worker, api, deadLetters, audit, lifecycle] = used;
