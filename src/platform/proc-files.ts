import { closeSync, openSync, readSync } from 'node:fs'

/** Room for `stat` and for the head of `status`, where the ids stand. */
const headRoom = 4096

/** Of `/proc/<pid>/stat`. */
export interface ProcessStat {
  readonly state: string
  /** Clock ticks since boot: tells a process from a later one with the same number. */
  readonly startTime: string
}

/**
 * State and start time out of `stat`. The command name may contain `)`, blanks and newlines, so the fields are
 * counted from the last `)` of the whole file (API-44). Null for text of another form.
 */
export function parseStat(text: string): ProcessStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTime] = [fields[0], fields[19]]
  if (state === undefined || !/^[A-Za-z]$/.test(state)) return null
  return startTime !== undefined && /^[0-9]{1,20}$/.test(startTime) ? { state, startTime } : null
}

/** The effective uid, second value of the line `Uid:`; the name above it is escaped by the kernel. */
export function parseEffectiveUid(status: string): number | null {
  const match = /^Uid:\t[0-9]{1,10}\t([0-9]{1,10})\t/m.exec(status)
  return match ? Number(match[1]) : null
}

/** True for a process that has ended; zombies still have readable files (API-45). */
export function isDead({ state }: ProcessStat): boolean {
  return state === 'Z' || state === 'X'
}

/** What cannot be opened or read because of whom we are or how `/proc` is mounted (API-56). */
export const hiding: readonly string[] = ['ENOENT', 'EACCES', 'EPERM']

/** Throws what is no refusal of the system. */
export function errnoOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) throw error
  return code
}

/**
 * A file below `/proc/<pid>`, kept open: it stays bound to the process, so after its end every read fails, also
 * when the number has been given to another one (API-43). Reads are synchronous: they take 2 to 4 µs and never wait.
 */
export class ProcFile {
  #fd: number

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Null where the process is not visible: it has ended, or `/proc` hides it. */
  static open(pid: number, name: 'stat' | 'status'): ProcFile | null {
    try {
      return new ProcFile(openSync(`/proc/${pid}/${name}`, 'r'))
    } catch (error) {
      if ([...hiding, 'ESRCH'].includes(errnoOf(error))) return null
      throw error
    }
  }

  /** The first 4096 bytes as they are now; null once the process has ended. */
  read(): string | null {
    const room = Buffer.alloc(headRoom)
    try {
      return room.toString('latin1', 0, readSync(this.#fd, room, 0, room.length, 0))
    } catch (error) {
      if (errnoOf(error) === 'ESRCH') return null
      throw error
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}
