import { readdirSync } from 'node:fs'
import { FIOCLEX, type Libc } from '../../native/libc.ts'

const lastStandard = 2

/**
 * To be called just before a program is started. What this runtime opens is not handed down to it; what C libraries open may
 * be: those of the TPM open it in that way, and a program of another user could use it.
 */
export function closeHandlesOnExec(libc: Pick<Libc, 'ioctl'>): void {
  for (const name of readdirSync('/proc/self/fd')) {
    // That of the folder itself is among them, and closed already.
    if (Number(name) > lastStandard) libc.ioctl(Number(name), FIOCLEX, null)
  }
}
