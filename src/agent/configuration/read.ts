import { constants, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { parseUtf8 } from '../../base/json.ts'
import { agentErrors } from '../errors.ts'
import { parseConfiguration } from './load.ts'
import type { Configuration } from './schema.ts'

export const defaultConfigurationFile = '/etc/attestd/attestd.toml'
const largestFile = 1 << 20

/** API-69: whoever may write the file decides who gets tokens, so only root and the agent's own user may. */
function problemWith(stat: Stats, largest: number): string | undefined {
  if (!stat.isFile()) return 'is not a regular file'
  if (stat.uid !== 0 && stat.uid !== process.geteuid?.()) return `belongs to uid ${stat.uid}`
  if ((stat.mode & 0o022) !== 0) return `may be written by others (mode ${(stat.mode & 0o777).toString(8)})`
  return stat.size > largest ? `is larger than ${largest} bytes` : undefined
}

/** A configuration with the text that it was read from, so that later checks can name lines too. */
export interface LoadedFile<Content> {
  readonly file: string
  readonly text: string
  readonly configuration: Content
}

export type LoadedConfiguration = LoadedFile<Configuration>

/**
 * Reads a file of which the content decides who gets tokens. `largest` is in bytes. Throws `CONFIGURATION_UNREADABLE`
 * for one that is absent, too large, or that others than root and the user of the agent may write.
 */
export async function readGuardedFile(file: string, largest = largestFile): Promise<Uint8Array> {
  const unreadable = (says: string, cause?: unknown) =>
    agentErrors.error('CONFIGURATION_UNREADABLE', `${file}: ${says}`, { facts: { file }, cause })
  // Without O_NONBLOCK a named pipe would be waited for, and with it every later reload.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(cause.code === 'ENOENT' ? 'does not exist' : `cannot be opened (${cause.code})`, cause)
  })
  try {
    const problem = problemWith(await handle.stat(), largest)
    if (problem) throw unreadable(problem)
    return new Uint8Array(await handle.readFile())
  } finally {
    await handle.close()
  }
}

/**
 * Reads and checks a configuration file. Throws `CONFIGURATION_UNREADABLE` (absent, no permission, writable by others)
 * or what `parse` throws.
 */
export async function readConfigurationBy<Content>(
  parse: (text: string, file: string) => Content,
  file: string,
): Promise<LoadedFile<Content>> {
  const text = parseUtf8(await readGuardedFile(file), file)
  return { file, text, configuration: parse(text, file) }
}

/** Reads the configuration of the agent. Throws also `CONFIGURATION_INVALID` (naming line and key). */
export function readConfiguration(file: string): Promise<LoadedConfiguration> {
  return readConfigurationBy(parseConfiguration, file)
}
