/**
 * What is expensive to have and may never be needed: opened at its first use, once for all users. A failure is not kept,
 * so that the next use tries again.
 */
export function openedOnce<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | null = null
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = null
      throw error
    })
    return opened
  }
}
