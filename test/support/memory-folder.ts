import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const memory = '/dev/shm'
const form = /^attestd-test-(\d+)-/

/** Removes what runs of the tests left that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(memory)) {
    const maker = form.exec(name)?.[1]
    if (maker !== undefined && !existsSync(`/proc/${maker}`))
      rmSync(join(memory, name), { recursive: true, force: true })
  }
}

/** A new folder in memory, as token files are. Whoever makes it removes it; of a run that is killed the next one does. */
export function makeMemoryFolder(): string {
  removeLeftovers()
  return mkdtempSync(join(memory, `attestd-test-${process.pid}-`))
}
