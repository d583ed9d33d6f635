/** An emulator of DynamoDB in one process; it brings no types. */
declare module "dynalite" {
  import type { Server } from "node:http";

  export default function dynalite(options?: { readonly createTableMs?: number }): Server;
}
