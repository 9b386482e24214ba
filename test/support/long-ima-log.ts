import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import type { HashName } from '../../src/evidence/tpm/algorithms.ts'
import { encodeImaLog, imaNgData } from './measured-logs.ts'
import type { SoftwareTpm } from './software-tpm.ts'

const imaPcr = 10
const digest = (hash: HashName, ...parts: Uint8Array[]) => {
  const hashing = createHash(hash)
  for (const part of parts) hashing.update(part)
  return new Uint8Array(hashing.digest())
}

/**
 * Appends so many records to a log, and extends the banks of the TPM by them, in little memory. `from` makes their names
 * and digests others than those of another call.
 */
export function appendImaRecords(path: string, tpm: SoftwareTpm, records: number, from = 0): void {
  const file = openSync(path, 'a')
  const values = new Map([...tpm.banks.keys()].map((hash) => [hash, tpm.value(hash, imaPcr)]))
  const text = new TextEncoder()
  for (let at = from; at < from + records; at += 1000) {
    const data = Array.from({ length: Math.min(1000, from + records - at) }, (_, index) =>
      imaNgData(`/usr/lib/x86_64-linux-gnu/lib${at + index}.so.1`, digest('sha256', text.encode(`${at + index}`))),
    )
    writeSync(file, encodeImaLog(imaPcr, data))
    for (const [hash, value] of values) {
      values.set(
        hash,
        data.reduce((register, one) => digest(hash, register, digest(hash, one)), value),
      )
    }
  }
  closeSync(file)
  for (const [hash, value] of values) tpm.banks.get(hash)?.set(imaPcr, value)
}
