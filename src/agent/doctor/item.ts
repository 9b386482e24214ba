import { AttestdError } from '../../base/errors.ts'

/** One thing that was looked at. */
export interface Item {
  readonly id: string
  readonly state: 'ok' | 'warning' | 'problem'
  /** What was found, as a clause. */
  readonly says: string
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null
}

export const ok = (id: string, says: string): Item => ({ id, state: 'ok', says, remedy: null })
export const warning = (id: string, says: string, remedy: string): Item => ({ id, state: 'warning', says, remedy })
export const problem = (id: string, says: string, remedy: string): Item => ({ id, state: 'problem', says, remedy })

/** What could not be done, with the remedy of its error. */
export const failure = (id: string, { code, message, remedy }: AttestdError): Item =>
  problem(id, `${code}: ${message}`, remedy)

/** Gives what `look` finds, or the item that says why it found nothing. Bugs pass through. */
export async function attempted<T>(
  id: string,
  look: () => Promise<T> | T,
): Promise<{ readonly found: T; readonly item: null } | { readonly found: null; readonly item: Item }> {
  try {
    return { found: await look(), item: null }
  } catch (error) {
    if (error instanceof AttestdError) return { found: null, item: failure(id, error) }
    throw error
  }
}
