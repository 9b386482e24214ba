import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { concatBytes } from '../base/bytes.ts'
import { platformErrors } from './errors.ts'
import { fileError, isAbsent } from './file-errors.ts'

export interface Protection {
  /** More is refused, whatever `stat` says; 0 to 2^31. */
  readonly maxBytes: number
  /** Bits of the mode that must not be set. Default 022: nobody else writes; 077 for secrets. */
  readonly forbidden?: number
  /** Users who may own the file. Default: root and ourselves. */
  readonly owners?: readonly number[]
}

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const stepBytes = 65_536

/**
 * Reads on from where the descriptor stands, to the end of the file: what `stat` says of the size is not believed,
 * since files of the kernel say 0 (TPM-08). Null as soon as there are more than `maxBytes`.
 */
export async function readToEnd(file: FileHandle, maxBytes: number): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = []
  for (let total = 0; ; ) {
    const room = new Uint8Array(stepBytes)
    const { bytesRead } = await file.read(room, 0, room.length, null)
    if (bytesRead === 0) return concatBytes(...parts)
    total += bytesRead
    if (total > maxBytes) return null
    parts.push(room.subarray(0, bytesRead))
  }
}

async function requireProtected(file: FileHandle, protection: Protection, path: string): Promise<void> {
  const { forbidden = 0o022, owners = [0, process.geteuid?.() ?? 0] } = protection
  const found = await file.stat()
  const refuse = (problem: string) => platformErrors.error('FILE_UNSAFE', `${path}: ${problem}`, { facts: { path } })
  if (!found.isFile()) throw refuse('is not a regular file')
  if (!owners.includes(found.uid)) throw refuse(`belongs to user ${found.uid}`)
  const open = found.mode & forbidden
  if (open !== 0) throw refuse(`has mode ${(found.mode & 0o7777).toString(8)}; ${open.toString(8)} of it is too much`)
}

/**
 * Reads a file whose content is trusted because of who could have written it: a regular file, not a symbolic link,
 * owned and protected as asked. Null where there is none. Throws `FILE_UNSAFE` or `FILE_UNUSABLE`; `shown` is the
 * path for messages.
 */
export async function readProtected(path: string, protection: Protection, shown = path): Promise<Uint8Array | null> {
  let file: FileHandle | undefined
  try {
    // Without O_NONBLOCK the opening of a named pipe would wait for its writer.
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    await requireProtected(file, protection, shown)
    const content = await readToEnd(file, protection.maxBytes)
    if (content !== null) return content
    throw platformErrors.error('FILE_UNUSABLE', `${shown}: has more than ${protection.maxBytes} bytes`, {
      facts: { path: shown },
    })
  } catch (error) {
    if (file === undefined && isAbsent(error)) return null
    throw fileError(error, shown)
  } finally {
    await file?.close()
  }
}
