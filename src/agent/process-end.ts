/**
 * Ends the process with `code` after `ms` milliseconds, unless it ends by itself before. A call into a device that does
 * not answer cannot be taken back, and Node, at its end, waits for the thread that made it: half a minute for a quote,
 * without limit for a TPM. Only for when everything has been written.
 */
export function endDespiteThreads(code: number, ms: number): void {
  setTimeout(() => void endNow(code), ms).unref()
}

/** Native code is loaded here and not before: what ends by itself needs none. Without it Node's own end has to do. */
async function endNow(code: number): Promise<void> {
  try {
    const { loadLibc } = await import('../platform/c-library.ts')
    loadLibc().exitNow(code)
  } finally {
    process.exit(code)
  }
}
