/** What a system call refused, in the form of Node's own errors, for calls that Node did not make itself. */
export class SystemError extends Error {
  /** Name of the errno: "EBUSY". */
  readonly code: string
  readonly syscall: string

  /** `place` is the path or the peer, for the message. */
  constructor(code: string, syscall: string, place: string) {
    super(`${place}: ${syscall} failed with ${code}`)
    this.name = 'SystemError'
    this.code = code
    this.syscall = syscall
  }
}
