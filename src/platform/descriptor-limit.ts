import { readFileSync } from 'node:fs'

/** How many descriptors this process may have open (`RLIMIT_NOFILE`, the soft one); null: any number, or it cannot be told. */
export function readDescriptorLimit(path = '/proc/self/limits'): number | null {
  try {
    const found = /^Max open files +([0-9]{1,15}) /m.exec(readFileSync(path, 'latin1'))
    return found ? Number(found[1]) : null
  } catch {
    return null
  }
}
