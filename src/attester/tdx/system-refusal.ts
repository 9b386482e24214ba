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
