import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { bytesOf, encode, struct, u8, u16le, u32le } from '../../src/base/layout.ts'
import { type HashName, hashNameOf } from '../../src/evidence/tpm/algorithms.ts'
import { parseTpmAttest } from '../../src/evidence/tpm/attest.ts'
import type { TpmQuote } from '../../src/evidence/tpm/evidence.ts'
import type { PcrSelection } from '../../src/evidence/tpm/pcr-selection.ts'
import { publicKeyOf, type TpmtPublic } from '../../src/evidence/tpm/public-area.ts'
import { parseTpmSignature } from '../../src/evidence/tpm/signature.ts'

export const haveCheckquote = spawnSync('tpm2_checkquote', ['--version']).status === 0
export const haveOpenssl = spawnSync('openssl', ['version']).status === 0

const selectionLayout = struct({ hash: u16le, size: u8, select: bytesOf(5) })

/** TPML_PCR_SELECTION as the structure of C lies in memory: u32 count, 16 × {u16, u8, u8[4], one byte of padding}. */
function selectionStructure(selections: readonly PcrSelection[]): Uint8Array {
  const filled = selections.map(({ hash, pcrs }) => {
    const select = new Uint8Array(5)
    for (const pcr of pcrs) select[pcr >> 3] = (select[pcr >> 3] ?? 0) | (1 << (pcr & 7))
    return encode(selectionLayout, { hash, size: 3, select })
  })
  return concatBytes(encode(u32le, selections.length), ...filled, new Uint8Array(8 * (16 - filled.length)))
}

/** TPML_DIGEST as the structure of C lies in memory: u32 count, 8 × {u16 size, 64 bytes}. */
function digestStructure(values: readonly Uint8Array[]): Uint8Array {
  const filled = values.map((value) =>
    concatBytes(encode(u16le, value.length), value, new Uint8Array(64 - value.length)),
  )
  return concatBytes(encode(u32le, values.length), ...filled, new Uint8Array(66 * (8 - filled.length)))
}

/** What `tpm2_quote -o` writes: the selection, and the values in the order of their digest, eight in a list. */
function serialisedPcrs(selections: readonly PcrSelection[], pcrs: TpmQuote['pcrs']): Uint8Array {
  const values = selections.flatMap(({ hash, pcrs: chosen }) =>
    chosen.map((pcr) => pcrs.get(hashNameOf(hash) as HashName)?.get(pcr) ?? new Uint8Array()),
  )
  const lists = Array.from({ length: Math.ceil(values.length / 8) }, (_, at) => values.slice(8 * at, 8 * at + 8))
  return concatBytes(selectionStructure(selections), encode(u32le, lists.length), ...lists.map(digestStructure))
}

export interface CheckedQuote {
  readonly area: TpmtPublic
  readonly quote: TpmQuote
  readonly qualifyingData: Uint8Array
  /** Of the scheme of the key. */
  readonly hash: HashName
}

/** What tpm2-tools say of a quote with its values: signature, qualifying data and digest hold. Works in `folder`. */
export function toolAccepts({ area, quote, qualifyingData, hash }: CheckedQuote, folder: string): boolean {
  const file = (name: string, bytes: Uint8Array | string) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }
  const { pcrSelect } = parseTpmAttest(quote.attest)
  const { status, error } = spawnSync('tpm2_checkquote', [
    ...['-u', file('ak.pem', publicKeyOf(area).export({ type: 'spki', format: 'pem' }) as string)],
    ...['-m', file('quote.attest', quote.attest), '-s', file('quote.signature', quote.signature)],
    ...['-f', file('quote.pcrs', serialisedPcrs(pcrSelect, quote.pcrs))],
    ...['-q', toHex(qualifyingData), '-g', hash],
  ])
  if (error) throw error
  return status === 0
}

/** What OpenSSL says of the RSASSA-PSS signature of a quote, which tpm2_checkquote 5.4 cannot verify. */
export function opensslAccepts({ area, quote, hash }: CheckedQuote, folder: string): boolean {
  const parsed = parseTpmSignature(quote.signature)
  if (parsed.algorithm !== 'rsapss') throw new TypeError('not a signature with RSASSA-PSS')
  const paths = { key: join(folder, 'pss.der'), signature: join(folder, 'pss.sig'), message: join(folder, 'pss.msg') }
  writeFileSync(paths.key, publicKeyOf(area).export({ type: 'spki', format: 'der' }))
  writeFileSync(paths.signature, parsed.signature)
  writeFileSync(paths.message, quote.attest)
  const padding = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:auto']
  const { status, error } = spawnSync('openssl', [
    ...['dgst', `-${hash}`, '-keyform', 'DER', '-verify', paths.key, ...padding],
    ...['-signature', paths.signature, paths.message],
  ])
  if (error) throw error
  return status === 0
}
