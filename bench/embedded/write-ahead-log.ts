/**
 * Commits that a write-ahead log of SQLite holds. Of the frames of a commit, the last one has the size of the file after it.
 *
 * Source: "Database File Format", section "The Write-Ahead Log", https://www.sqlite.org/fileformat2.html#walformat
 *
 * @param log of a database that has not begun its log anew since: after a checkpoint, what is behind its end is of former ones
 */
export function commitsIn(log: Buffer): number {
  if (log.length < headerBytes) return 0;
  const pageBytes = log.readUInt32BE(8);
  const salt = log.readBigUInt64BE(16);
  let commits = 0;
  for (let at = headerBytes; at + frameHeaderBytes <= log.length; at += frameHeaderBytes + pageBytes) {
    if (log.readBigUInt64BE(at + 8) !== salt) break;
    if (log.readUInt32BE(at + 4) !== 0) commits++;
  }
  return commits;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
