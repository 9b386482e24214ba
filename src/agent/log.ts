import { writeSync } from 'node:fs'
import { type Logger, pino, stdTimeFunctions } from 'pino'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

/** journald reads the priority from a `<N>` prefix (SYS-80): 3 error, 4 warning, 6 information, 7 debug. */
const priorities: Readonly<Record<number, number>> = { 60: 2, 50: 3, 40: 4, 30: 6, 20: 7, 10: 7 }

/** Puts the priority of each line in front of it. */
function prefixing(write: (line: string) => void): { write(line: string): void } {
  return {
    write: (line) => {
      const level = Number(/"level":(\d+)/.exec(line)?.[1] ?? 30)
      write(`<${priorities[level] ?? 6}>${line}`)
    },
  }
}

/**
 * Writes whole lines to a descriptor, at once. A reader that went away or a disk that is full costs lines, and never the
 * agent: as a stream, standard error would end the process (BRK-124).
 */
export function lineWriter(fd: number): (line: string) => void {
  return (line) => {
    try {
      writeSync(fd, line)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall !== 'write') throw error
    }
  }
}

const repeatAfterMs = 10_000
const mostRemembered = 256

/**
 * Identical lines are written once in ten seconds (BRK-131): nobody fills the journal by making the agent repeat itself. The next
 * line of its kind says how often it was left out. `monotonic`: milliseconds.
 */
export function withoutRepeats(write: (line: string) => void, monotonic: () => number): (line: string) => void {
  const known = new Map<string, { readonly at: number; left: number }>()
  return (line) => {
    const what = line.replace(/"time":"[^"]*",/, '')
    const [now, last] = [monotonic(), known.get(what)]
    if (last !== undefined && now - last.at < repeatAfterMs) {
      last.left++
      return
    }
    known.delete(what)
    known.set(what, { at: now, left: 0 })
    const [oldest] = known.keys()
    if (known.size > mostRemembered && oldest !== undefined) known.delete(oldest)
    write(last === undefined || last.left === 0 ? line : line.replace(/}\n$/, `,"repeated":${last.left}}\n`))
  }
}

const standardError = 2

/**
 * The agent's log: one JSON object a line on standard error. What is logged is chosen where it is logged (API-110);
 * as a second line of defence members with these names are never written, at any level.
 */
export function createLog(level: LogLevel, options: { journal: boolean; write?: (line: string) => void }): Logger {
  const write = withoutRepeats(options.write ?? lineWriter(standardError), () => performance.now())
  return pino(
    {
      level,
      base: null,
      timestamp: options.journal ? false : stdTimeFunctions.isoTime,
      messageKey: 'msg',
      redact: {
        paths: ['token', 'nonce', 'nonces', 'secret', '*.token', '*.nonce', '*.nonces', '*.secret'],
        remove: true,
      },
    },
    options.journal ? prefixing(write) : { write },
  )
}
