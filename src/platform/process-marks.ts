import { readlinkSync } from 'node:fs'
import { isDead, ProcFile, parseStat } from './proc-files.ts'
import { SystemError } from './system-error.ts'

/** What tells a process from every other one that runs or ran on this machine. */
export interface ProcessMark {
  readonly pid: number
  /** Its namespace of process numbers. */
  readonly namespace: string
  /** Clock ticks since boot. */
  readonly startTime: string
}

function statOf(pid: number) {
  const file = ProcFile.open(pid, 'stat')
  if (file === null) return null
  try {
    const text = file.read()
    return text === null ? null : parseStat(text)
  } finally {
    file.close()
  }
}

/** Whether there is a process with this number; asked of the kernel, which `/proc` may hide. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** The processes of this machine, as far as they tell whose something is that was left behind. */
export function seenProcesses() {
  const namespace = readlinkSync('/proc/self/ns/pid')
  const startTime = statOf(process.pid)?.startTime
  if (startTime === undefined) throw new SystemError('ENOENT', 'open', '/proc/self/stat')
  const self: ProcessMark = { pid: process.pid, namespace, startTime }
  return {
    self: () => self,
    /** Null where there is certainly no such process; `hidden` where it cannot be looked at. */
    find: (pid: number): ProcessMark | 'hidden' | null => {
      if (pid < 1 || !exists(pid)) return null
      const stat = statOf(pid)
      if (stat === null) return exists(pid) ? 'hidden' : null
      return isDead(stat) ? null : { pid, namespace, startTime: stat.startTime }
    },
  }
}
