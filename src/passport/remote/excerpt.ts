const scanned = 512
const shown = 64

/** Runs that may be evidence or a token; words of people are shorter or have spaces. */
const encodedRun = /[A-Za-z0-9+/_=%.-]{20,}/g
const cutRun = /[A-Za-z0-9+/_=%.-]+$/

/**
 * The first 64 printable characters of what a server sent, for a message (SVC-14). What may be encoded evidence or a
 * token is left out: a server that echoes the request, or wraps the token, must not bring either into a log.
 */
export function excerptOf(sent: string | Uint8Array): string {
  const text = typeof sent === 'string' ? sent : Buffer.from(sent.subarray(0, scanned + 1)).toString('latin1')
  // A run that the cut made short enough to be shown may be the beginning of a long one.
  const start = text.length > scanned ? text.slice(0, scanned).replace(cutRun, '…') : text
  return start
    .replace(/[^\x20-\x7e…]+/g, ' ')
    .replace(encodedRun, '…')
    .slice(0, shown)
}
