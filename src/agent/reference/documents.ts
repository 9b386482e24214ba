import { open } from 'node:fs/promises'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { encodeReferenceValues } from '../../reference-values/encode-reference-values.ts'
import { type ReferenceDocument, readReferenceValues } from '../../reference-values/parse-reference-values.ts'
import type { ReferenceHeader, ReferenceValues } from '../../reference-values/reference-values.ts'
import { agentErrors } from '../errors.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { openHost } from '../wiring/host.ts'

const chunkSize = 256 << 10

async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void> {
  const file = await open(path, 'r')
  try {
    const buffer = new Uint8Array(chunkSize)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Reads a document of reference values from a file, `-` for standard input, piece by piece. */
export async function readReferenceFile(path: string): Promise<ReferenceDocument> {
  try {
    return await (path === '-'
      ? readReferenceValues(process.stdin, 'standard input')
      : readReferenceValues(fileChunks(path), path))
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) throw cause
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: ${String(cause.code)}`, { cause })
  }
}

/** Writes a document, whole or not at all; `-` is standard output. */
export async function writeReferenceFile(
  output: string,
  values: ReferenceValues,
  header: ReferenceHeader,
  io: CommandIo,
): Promise<void> {
  const chunks = encodeReferenceValues(values, header)
  if (output !== '-') {
    await writeAtomically(output, chunks, { mode: 0o644, random: openHost().random })
    return
  }
  const utf8 = new TextDecoder()
  for (const chunk of chunks) io.out(utf8.decode(chunk))
}
