import { open } from 'node:fs/promises'
import { agentErrors } from './errors.ts'

const defaultLimit = 64 << 20

/** What people meet, in words; the name of the errno stands behind, and alone for all others. */
const words: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is no directory',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  ELOOP: 'symbolic links lead around in a circle',
}

const wordsOf = (code: string): string => (Object.hasOwn(words, code) ? `${words[code]} (${code})` : code)

/** Reads a file that an operator names, `-` for standard input, up to a limit and whatever its stat says about size. */
export async function readInput(path: string, limit = defaultLimit): Promise<Uint8Array> {
  try {
    if (path === '-') return await collect(process.stdin, limit, path)
    const file = await open(path, 'r')
    try {
      return await collect(file.createReadStream({ autoClose: false }), limit, path)
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) throw cause
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: ${wordsOf(String(cause.code))}`, { cause })
  }
}

/** The error for a file that nobody can have meant. */
export const tooLarge = (path: string, limit: number) =>
  agentErrors.error('INPUT_UNREADABLE', `${path === '-' ? '<standard input>' : path}: has more than ${limit} bytes`, {
    remedy: 'check that it is the file you meant: nothing larger is read here',
  })

async function collect(stream: AsyncIterable<Uint8Array>, limit: number, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size > limit) throw tooLarge(path, limit)
    parts.push(part)
  }
  const whole = Buffer.concat(parts)
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length)
}
