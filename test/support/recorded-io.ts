import type { Command } from 'commander'
import type { CommandIo } from '../../src/agent/presentation/terminal.ts'
import { AttestdError } from '../../src/base/errors.ts'

export interface CommandRun {
  readonly out: string
  readonly err: string
  /** What the command threw; null if it ended well. */
  readonly error: AttestdError | null
}

/** Runs a command in this process and records what it writes. Bugs pass through, and commander's complaints. */
export async function runInProcess(make: (io: CommandIo) => Command, ...args: readonly string[]): Promise<CommandRun> {
  const written = { out: '', err: '' }
  const io: CommandIo = {
    terminal: false,
    colour: false,
    out: (text) => {
      written.out += text
    },
    err: (text) => {
      written.err += text
    },
  }
  const command = make(io).exitOverride().configureOutput({ writeErr: io.err, writeOut: io.out })
  try {
    await command.parseAsync([...args], { from: 'user' })
    return { ...written, error: null }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return { ...written, error }
  }
}
