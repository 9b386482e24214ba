import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, writeFileSync } from 'node:fs'

const lastNumber = '/proc/sys/kernel/ns_last_pid'

/** True where the next process can be given a number of our choice. */
export function canChooseNumbers(): boolean {
  try {
    accessSync(lastNumber, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Starts a process that lives for a minute, as another user where that is asked for, and has the number `pid`. */
export async function startWithNumber(pid: number, uid?: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 200; attempt++) {
    writeFileSync(lastNumber, String(pid - 1))
    const child = spawn('sleep', ['60'], { stdio: 'ignore', ...(uid === undefined ? {} : { uid }) })
    if (child.pid === pid) return child
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  throw new Error(`others were faster to take the number ${pid}`)
}
