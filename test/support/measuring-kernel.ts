import { concatBytes } from '../../src/base/bytes.ts'
import { encode, sizedBytes, u32le } from '../../src/base/layout.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../src/evidence/tpm/evidence.ts'

const sized = (bytes: Uint8Array) => encode(sizedBytes(u32le), bytes)
const text = (value: string) => Uint8Array.from(value, (letter) => letter.charCodeAt(0))
const sizeOf = (hash: HashName) => hashAlgorithms[hash].size

/** Text of one character a byte, or bytes. */
type Bytes = string | Uint8Array
const bytesOf = (value: Bytes) => (typeof value === 'string' ? text(value) : value)

/** Fields of a template, each with its length. */
export function templateData(...fields: readonly Bytes[]): Uint8Array {
  return concatBytes(...fields.map((field) => sized(bytesOf(field))))
}

/** Field `d-ng`, or `d-ngv2` with a kind. */
export function digestField(digest: Uint8Array, algorithm = 'sha256', kind = ''): Uint8Array {
  return concatBytes(text(`${kind}${algorithm}:\0`), digest)
}

/** A file of this content, as every test means it. */
export function contentDigest(content: string, hash: HashName = 'sha256'): Uint8Array {
  return digestOf(hash, text(content))
}

export interface KernelEntry {
  readonly template: string
  /** As in the log; for the legacy template digest (20), u32, name. */
  readonly data: Uint8Array
  readonly pcr: number
  readonly violation: boolean
}

/** What is hashed of an entry. */
function hashedOf({ template, data }: KernelEntry): Uint8Array {
  if (template !== 'ima') return data
  const padded = new Uint8Array(276)
  padded.set(data.subarray(0, 20))
  padded.set(data.subarray(24), 20)
  return padded
}

/** A kernel that measures: what it writes into its list, and what it extends. PCR 0 to 9 are what firmware left. */
export class MeasuringKernel {
  readonly entries: KernelEntry[] = []
  /** In every bank; the digest of the boot aggregate is over them. */
  readonly firmware: (hash: HashName, pcr: number) => Uint8Array = (hash, pcr) =>
    new Uint8Array(sizeOf(hash)).fill(pcr + 1)

  constructor(firmware?: (hash: HashName, pcr: number) => Uint8Array) {
    if (firmware) this.firmware = firmware
    this.file('boot_aggregate', this.bootAggregate())
  }

  bootAggregate(hash: HashName = 'sha256', last = 9): Uint8Array {
    return digestOf(hash, ...Array.from({ length: last + 1 }, (_none, pcr) => this.firmware(hash, pcr)))
  }

  record(template: string, data: Uint8Array, { pcr = 10, violation = false } = {}): this {
    this.entries.push({ template, data, pcr, violation })
    return this
  }

  /** `ima-ng`. */
  file(path: Bytes, digest: Uint8Array, options: { readonly pcr?: number } = {}): this {
    return this.record(
      'ima-ng',
      templateData(digestField(digest), concatBytes(bytesOf(path), new Uint8Array(1))),
      options,
    )
  }

  violation(path: string): this {
    const data = templateData(digestField(new Uint8Array(20)), `${path}\0`)
    return this.record('ima-ng', data, { violation: true })
  }

  /** `ima-sig`. */
  signed(path: string, digest: Uint8Array, signature: Bytes): this {
    return this.record('ima-sig', templateData(digestField(digest), `${path}\0`, signature))
  }

  /** `ima-buf`. */
  buffer(name: string, buffer: Bytes, digest = digestOf('sha256', bytesOf(buffer))): this {
    return this.record('ima-buf', templateData(digestField(digest), `${name}\0`, buffer))
  }

  legacy(path: string, digest = contentDigest(path, 'sha1')): this {
    return this.record('ima', concatBytes(digest, sized(text(path))))
  }

  /** The records from `from` to before `to`. */
  part(from = 0, column: HashName = 'sha1', to = this.entries.length): ImaLogPart {
    const data = this.entries.slice(from, to).map((entry) => {
      const { template, violation, pcr } = entry
      const shown = violation ? new Uint8Array(sizeOf(column)) : digestOf(column, hashedOf(entry))
      const head = concatBytes(encode(u32le, pcr), shown, sized(text(template)))
      return concatBytes(head, template === 'ima' ? entry.data : sized(entry.data))
    })
    return { from, column, data: concatBytes(...data) }
  }

  /** What a register is after the first `covered` records (IMA-05, IMA-06). */
  value(bank: HashName, pcr = 10, covered = this.entries.length, padded = false): Uint8Array {
    const hash = padded ? 'sha1' : bank
    let value = new Uint8Array(sizeOf(bank))
    for (const entry of this.entries.slice(0, covered)) {
      if (entry.pcr !== pcr) continue
      const measured = entry.violation ? new Uint8Array(sizeOf(hash)).fill(0xff) : digestOf(hash, hashedOf(entry))
      value = Uint8Array.from(digestOf(bank, value, measured, new Uint8Array(sizeOf(bank) - measured.length)))
    }
    return value
  }

  /** Bank → PCR → value, as a quote has them after `covered` records. */
  quoted(
    banks: readonly HashName[] = ['sha256'],
    covered = this.entries.length,
    options: { readonly pcrs?: readonly number[]; readonly padded?: boolean } = {},
  ): Map<HashName, Map<number, Uint8Array>> {
    const { pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], padded = false } = options
    const valueIn = (bank: HashName, pcr: number) =>
      pcr < 10 ? this.firmware(bank, pcr) : this.value(bank, pcr, covered, padded)
    return new Map(banks.map((bank) => [bank, new Map(pcrs.map((pcr) => [pcr, valueIn(bank, pcr)]))]))
  }
}
