import { createHash } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

export interface HashedFile {
  readonly outcome: 'hashed'
  /** In the order of the algorithms that were asked for. */
  readonly digests: readonly Uint8Array[]
  /** Has an execute bit, or begins as an ELF file does: libraries have no such bit on every system. */
  readonly executable: boolean
}

export type FileHashing = HashedFile | { readonly outcome: 'changed' | 'unreadable' | 'special' }

const bufferSize = 256 << 10
const elfMagic = Buffer.from('\x7fELF', 'latin1')

/** Anything that is written to a file changes one of these. */
const isSame = (before: BigIntStats, after: BigIntStats) =>
  before.size === after.size && before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs

async function hashOpened(file: FileHandle, algorithms: readonly string[], buffer: Buffer): Promise<FileHashing> {
  const before = await file.stat({ bigint: true })
  if (!before.isFile()) return { outcome: 'special' }
  const hashes = algorithms.map((algorithm) => createHash(algorithm))
  let size = 0n
  let elf = false
  // A file that somebody goes on writing to must not be read for ever.
  while (size <= before.size) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length)
    if (bytesRead === 0) break
    const bytes = buffer.subarray(0, bytesRead)
    if (size === 0n) elf = bytes.subarray(0, elfMagic.length).equals(elfMagic)
    for (const hash of hashes) hash.update(bytes)
    size += BigInt(bytesRead)
  }
  if (size !== before.size || !isSame(before, await file.stat({ bigint: true }))) return { outcome: 'changed' }
  const digests = hashes.map((hash) => new Uint8Array(hash.digest()))
  return { outcome: 'hashed', digests, executable: elf || (before.mode & 0o111n) !== 0n }
}

/**
 * Hashes a regular file piece by piece, by algorithms of `node:crypto`. A link in its place is not followed, and a pipe
 * does not block. Whatever the system refuses is an outcome.
 */
export async function hashFile(path: Buffer, algorithms: readonly string[]): Promise<FileHashing> {
  let file: FileHandle | undefined
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    return await hashOpened(file, algorithms, Buffer.allocUnsafe(bufferSize))
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error
    return { outcome: 'unreadable' }
  } finally {
    await file?.close()
  }
}
