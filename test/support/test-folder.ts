import { tmpdir } from 'node:os'
import { relative, resolve } from 'node:path'

const homes = [tmpdir(), '/dev/shm']

/**
 * Throws unless the path is where tests make folders, or below: named `attestd-…` in the directory for temporary files or in
 * /dev/shm.
 */
export function requireTestFolder(path: string): void {
  const place = resolve(path)
  if (homes.some((home) => relative(home, place).startsWith('attestd-'))) return
  throw new Error(`a test would remove ${place}, which is no folder of a test`)
}
