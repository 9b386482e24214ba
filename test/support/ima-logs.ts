import { createHash } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import type { RandomSource } from '../../src/base/random.ts'

/**
 * Logs of IMA as a kernel would have written them, and the registers that it would have left. Nothing of the project's
 * own reading or hashing is used, so that both can be compared with it.
 */

export type ImaTemplateName = 'ima' | 'ima-ng' | 'ima-sig'
export type ImaBank = 'sha1' | 'sha256' | 'sha384'

export interface GeneratedRecord {
  readonly template: ImaTemplateName
  readonly name: Buffer
  readonly violation: boolean
  /** As in the file, with a SHA-1 column. */
  readonly bytes: Buffer
  /** What is extended into a bank. */
  extension(bank: ImaBank): Buffer
}

export interface GeneratedLog {
  readonly records: readonly GeneratedRecord[]
  readonly bytes: Uint8Array
  /** The register after `count` records, by default after all. */
  register(bank: ImaBank, count?: number): Uint8Array
}

const imaPcr = 10
const sizes: Readonly<Record<ImaBank, number>> = { sha1: 20, sha256: 32, sha384: 48 }
const digest = (bank: string, ...parts: readonly Uint8Array[]) =>
  createHash(bank)
    .update(concatBytes(...parts))
    .digest()
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const field = (bytes: Uint8Array) => Buffer.concat([u32(bytes.length), bytes])

/** What the templates hash, and how it stands in the file behind the name of the template. */
function templateForms(
  template: ImaTemplateName,
  file: Buffer,
  name: Buffer,
  signature: Buffer,
): { readonly hashed: Buffer; readonly written: Buffer } {
  if (template === 'ima') {
    const padded = Buffer.concat([name, Buffer.alloc(256 - name.length)])
    return {
      hashed: Buffer.concat([file.subarray(0, 20), padded]),
      written: Buffer.concat([file.subarray(0, 20), field(name)]),
    }
  }
  const digestField = field(Buffer.concat([Buffer.from('sha256:\0'), file]))
  const nameField = field(Buffer.concat([name, Buffer.from([0])]))
  const fields = template === 'ima-sig' ? [digestField, nameField, field(signature)] : [digestField, nameField]
  const data = Buffer.concat(fields)
  return { hashed: data, written: field(data) }
}

/** One record; a violation shows an empty file digest and an all-zero column, and extends FF. */
export function imaRecord(
  template: ImaTemplateName,
  name: Buffer,
  { content = name, signature = Buffer.alloc(0), violation = false } = {},
): GeneratedRecord {
  const file = violation ? Buffer.alloc(32) : digest('sha256', content)
  const { hashed, written } = templateForms(template, file, name, signature)
  const column = violation ? Buffer.alloc(20) : digest('sha1', hashed)
  const label = Buffer.from(template)
  return {
    ...{ template, name, violation },
    bytes: Buffer.concat([u32(imaPcr), column, field(label), written]),
    extension: (bank) => (violation ? Buffer.alloc(sizes[bank], 0xff) : digest(bank, hashed)),
  }
}

export function imaLogOf(records: readonly GeneratedRecord[]): GeneratedLog {
  return {
    records,
    bytes: concatBytes(...records.map(({ bytes }) => bytes)),
    register: (bank, count = records.length) =>
      records
        .slice(0, count)
        .reduce<Uint8Array>(
          (value, record) => digest(bank, value, record.extension(bank)),
          new Uint8Array(sizes[bank]),
        ),
  }
}

/** `count` records behind a boot aggregate of the first template: any of them, about one violation in eight, names of any bytes but NUL. */
export function generateImaLog(
  random: RandomSource,
  count: number,
  templates: readonly ImaTemplateName[] = ['ima-ng', 'ima-sig'],
): GeneratedLog {
  const pick = (limit: number) => Buffer.from(random(4)).readUInt32LE() % limit
  const one = () => {
    const name = Buffer.from(random(1 + pick(60)).map((byte) => (byte === 0 ? 0x2f : byte)))
    const signature = pick(2) === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([3, 2, 4]), random(64)])
    const template = templates[pick(templates.length)] ?? 'ima-ng'
    return imaRecord(template, name, { content: Buffer.from(random(8)), signature, violation: pick(8) === 0 })
  }
  const aggregate = imaRecord(templates[0] ?? 'ima-ng', Buffer.from('boot_aggregate'), {
    content: Buffer.from(random(32)),
  })
  return imaLogOf([aggregate, ...Array.from({ length: count }, one)])
}
