/** Secrets that are kept with the runs: each is made once, and is the same for every process that serves them. */
import type { DatabaseSync } from "node:sqlite";
import type { GroupCommit } from "./sqlite-group-commit.ts";

export interface Secrets {
  /** What was kept first under this name: the proposal, if there is nothing yet. */
  secret(name: string, proposal: string): Promise<string>;
}

export function createMemorySecrets(assertOpen: () => void): Secrets {
  const kept = new Map<string, string>();
  return {
    async secret(name, proposal) {
      assertOpen();
      const secret = kept.get(name) ?? proposal;
      kept.set(name, secret);
      return secret;
    },
  };
}

export function createSqliteSecrets(db: DatabaseSync, commits: GroupCommit): Secrets {
  // Made where it is missing, also in files of former versions.
  db.exec("CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
  const insert = db.prepare("INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING");
  const select = db.prepare("SELECT value FROM secret WHERE name = ?");
  return {
    secret: (name, proposal) =>
      commits.write(() => {
        insert.run(name, proposal);
        return select.get(name)?.value as string;
      }),
  };
}
