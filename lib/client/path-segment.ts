/**
 * A name or an id as one part of a path. `.` and `..` would lead to another place of the server, however they are encoded;
 * so they go as a name that nothing has, and so does what is no text in Unicode.
 */
export function pathSegment(text: string): string {
  if (text === "." || text === "..") return text.replaceAll(".", "%252E");
  return encodeURIComponent(text.toWellFormed());
}
