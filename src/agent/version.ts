import { readFileSync } from 'node:fs'

interface Manifest {
  readonly version: string
}

/** The package's version, from the manifest that lies above the code, compiled or not. */
function readVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Manifest).version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}

export const version = readVersion()

/**
 * Seconds since the epoch before which no copy of this program was in use: a wall clock that shows less has not been set
 * yet (BRK-64). Not the day of the build, so that equal sources make equal packages.
 */
export const earliestNowS = Date.UTC(2024, 0, 1) / 1000
