/** A command that has said what it has to say and ends with this exit code; nothing more is reported. */
export class CommandEnd extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`ends with ${exitCode}`)
    this.name = 'CommandEnd'
    this.exitCode = exitCode
  }
}
