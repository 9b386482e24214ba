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
