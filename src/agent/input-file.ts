import { open } from 'node:fs/promises'
import { agentErrors } from './errors.ts'

const defaultLimit = 64 << 20

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
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: ${String(cause.code)}`, { cause })
  }
}

async function collect(stream: AsyncIterable<Uint8Array>, limit: number, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size > limit) throw agentErrors.error('INPUT_UNREADABLE', `${path}: more than ${limit} bytes`)
    parts.push(part)
  }
  const whole = Buffer.concat(parts)
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length)
}
