import { AttestdError } from '../../base/errors.ts'

/** What the system refused, out of an error of one of the ports; null for errors of any other kind. */
export interface SystemRefusal {
  /** Name of the errno: "EBUSY". */
  readonly errno: string
  readonly syscall: string
}

export function systemRefusal(error: unknown): SystemRefusal | null {
  if (!(error instanceof Error)) return null
  const { code, syscall } = error as NodeJS.ErrnoException
  return typeof code === 'string' && typeof syscall === 'string' ? { errno: code, syscall } : null
}

/** Why a port did not do what it was asked, for an error of ours; null for a bug, which is to be thrown on. */
export function describeFailure(
  error: unknown,
): { readonly says: string; readonly facts: Readonly<Record<string, string>> } | null {
  const refusal = systemRefusal(error)
  if (refusal !== null) {
    return { says: `${refusal.syscall} failed with ${refusal.errno}`, facts: { errno: refusal.errno } }
  }
  return error instanceof AttestdError ? { says: error.message, facts: {} } : null
}
