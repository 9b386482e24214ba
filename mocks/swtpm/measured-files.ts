import { concatBytes } from '../../src/base/bytes.ts'
import { encode, sizedBytes, u32le } from '../../src/base/layout.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { activeBanks, extendWith, readPcr, type TpmTransport } from './execute.ts'

/** A simulated kernel that measures files: the log grows with each of them. */
export interface SimulatedIma {
  /** What `binary_runtime_measurements` holds now: the column is SHA-1. */
  log(): Uint8Array
  records(): number
  /** Measures one file: a record of template `ima-ng` with its SHA-256 digest, extended into PCR 10 of every bank. */
  measure(path: string, content: Uint8Array): Promise<void>
}

const imaPcr = 10
const template = 'ima-ng'
const text = (value: string) => new TextEncoder().encode(value)

/** Fields d-ng and n-ng, each behind its length: `sha256:\0` and digest; path and NUL. */
function templateData(hash: HashName, digest: Uint8Array, path: string): Uint8Array {
  const field = (bytes: Uint8Array) => encode(sizedBytes(u32le), bytes)
  return concatBytes(field(concatBytes(text(`${hash}:\0`), digest)), field(text(`${path}\0`)))
}

function encodeRecord(data: Uint8Array): Uint8Array {
  return concatBytes(
    encode(u32le, imaPcr),
    digestOf('sha1', data),
    encode(sizedBytes(u32le), text(template)),
    encode(sizedBytes(u32le), data),
  )
}

/** The first record of a boot: SHA-256 over PCR 0 to 9 (Linux 5.8 and later). */
async function bootAggregate(send: TpmTransport): Promise<Uint8Array> {
  const values: Uint8Array[] = []
  for (let pcr = 0; pcr < 10; pcr++) values.push(await readPcr(send, hashAlgorithms.sha256.id, pcr))
  return digestOf('sha256', ...values)
}

/**
 * Plays the integrity measurement of a Linux kernel after `simulateFirmware`: the boot aggregate, then `files`
 * (path and content), in order.
 */
export async function simulateIma(
  send: TpmTransport,
  files: Readonly<Record<string, string>> = defaultFiles,
): Promise<SimulatedIma> {
  const banks = await activeBanks(send)
  const records: Uint8Array[] = []
  const record = async (digest: Uint8Array, path: string) => {
    const data = templateData('sha256', digest, path)
    await extendWith(send, banks, imaPcr, data)
    records.push(encodeRecord(data))
  }
  const measure = (path: string, content: Uint8Array) => record(digestOf('sha256', content), path)
  await record(await bootAggregate(send), 'boot_aggregate')
  for (const [path, content] of Object.entries(files)) await measure(path, text(content))
  return { log: () => concatBytes(...records), records: () => records.length, measure }
}

const defaultFiles = {
  '/init': 'simulated init',
  '/usr/lib/systemd/systemd': 'simulated service manager',
  '/usr/bin/bash': 'simulated shell',
  '/usr/bin/attestd': 'simulated agent',
}
