import { hash as hashOnce } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { type Layout, mapped, u16be } from '../../base/layout.ts'

/** Hash algorithms of TPM banks, names and schemes: TPM_ALG_ID and digest size in bytes. SM3 is not supported. */
export const hashAlgorithms = {
  sha1: { id: 0x0004, size: 20 },
  sha256: { id: 0x000b, size: 32 },
  sha384: { id: 0x000c, size: 48 },
  sha512: { id: 0x000d, size: 64 },
} as const

export type HashName = keyof typeof hashAlgorithms

/** TPM_ALG_NULL: "no algorithm"; the fields that would describe one are absent. */
export const algNull = 0x0010

export const hashNames = Object.keys(hashAlgorithms) as HashName[]

const byId = new Map<number, HashName>(hashNames.map((name) => [hashAlgorithms[name].id, name]))

export function hashNameOf(id: number): HashName | undefined {
  return byId.get(id)
}

/** True for the name of a supported hash; narrows text from files and peers. */
export function isHashName(text: string): text is HashName {
  return Object.hasOwn(hashAlgorithms, text)
}

/** TPMI_ALG_HASH as a u16; an unknown algorithm is refused with its number. */
export const hashField: Layout<HashName> = mapped(
  u16be,
  (id, refuse) => {
    const name = hashNameOf(id)
    if (name === undefined) throw refuse(`hash algorithm 0x${id.toString(16).padStart(4, '0')} is not known`)
    return name
  },
  (name) => hashAlgorithms[name].id,
)

/** The digest of all parts behind each other. */
export function digestOf(hash: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  const [only, ...more] = parts
  const bytes = only !== undefined && more.length === 0 ? only : concatBytes(...parts)
  return new Uint8Array(hashOnce(hash, bytes, 'buffer'))
}

/**
 * The digest as text of one character a byte: for loops over many small records, where making bytes of each digest
 * would take longer than the hashing (tpm.md section 12).
 */
export function digestText(hash: HashName, bytes: Uint8Array): string {
  return hashOnce(hash, bytes, 'binary')
}
