import { generateKeyPairSync, hash, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { concatBytes, toBase64 } from '../../base/bytes.ts'
import { digestSet, hexDigest } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import { parseImaKey } from '../../reference-values/ima-keys.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import type { ImaProgress } from './ima-progress.ts'
import { judgeImaLog } from './judge-ima-log.ts'

const digest = contentDigest('good')
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const der = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
const key = { keyring: '.ima', sha256: hash('sha256', der, 'hex'), der: toBase64(der) }

function signatureOf(content: string): Uint8Array {
  const header = Buffer.from([3, 2, 4, 0, 0, 0, 0, 0, 0])
  const signature = sign('sha256', Buffer.from(content), privateKey)
  header.writeUInt32BE(parseImaKey(der).keyId, 3)
  header.writeUInt16BE(signature.length, 7)
  return concatBytes(header, signature)
}

const empty: ImaReferences = {
  files: buildDigestTable([], [1, 2]),
  patterns: [],
  exclude: [],
  keys: [],
  buffers: [],
}
const files = buildDigestTable([['/bin/good', digestSet([{ algorithm: 'sha256', digest }])]], [1, 2])

interface Judging {
  readonly references?: Partial<ImaReferences> | null
  readonly signedFilesAllowed?: boolean
  readonly before?: ImaProgress | null
}

function progressOf(kernel: MeasuringKernel, { references = {}, signedFilesAllowed = true, before = null }: Judging) {
  const given = references === null ? null : { ...empty, ...references }
  const basis = { pcr: 10, judgedBy: 'x', references: given, signedFilesAllowed, acceptSha1Padded: false }
  const part = kernel.part(before?.records ?? 0)
  const { progress } = judgeImaLog(part, { basis, quoted: kernel.quoted(), before, pending: null })
  return progress ?? expect.unreachable()
}

function countsOf(kernel: MeasuringKernel, judging: Judging = {}) {
  return Object.fromEntries(Object.entries(progressOf(kernel, judging).counts).filter(([, count]) => count > 0))
}

describe('a valid signature (IMA-18)', () => {
  const kernel = new MeasuringKernel().signed('/bin/signed', contentDigest('signed'), signatureOf('signed'))
  const references = { files, keys: [key] }

  it('stands for an entry of the list only where that is allowed', () => {
    expect(countsOf(kernel, { references })).toEqual({ signatureValid: 1 })
    expect(countsOf(kernel, { references, signedFilesAllowed: false })).toEqual({ signatureValid: 1, unlisted: 1 })
  })

  it('of a file does not stand for another one', () => {
    const other = new MeasuringKernel().signed('/bin/signed', contentDigest('other'), signatureOf('signed'))
    expect(countsOf(other, { references })).toEqual({ signatureInvalid: 1, unlisted: 1 })
  })

  it('is one by a key that was learned from covered records, of earlier parts too', () => {
    const learning = { files, keys: [{ ...key, der: null }] }
    const first = new MeasuringKernel().buffer('.ima', der, hashOf(der))
    const before = progressOf(first, { references: learning })
    first.signed('/bin/signed', contentDigest('signed'), signatureOf('signed'))
    expect(countsOf(first, { references: learning, before })).toEqual({ buffers: 1, signatureValid: 1 })
    expect(countsOf(kernel, { references: learning })).toEqual({ signatureUnknownKey: 1, unlisted: 1 })
  })

  it('is not what an attribute of EVM is, in a template that has no other', () => {
    const data = templateData(digestField(digest), '/bin/good\0', '\x05\x02', '', '', '', '', '', '')
    const evm = new MeasuringKernel().record('evm-sig', data)
    expect(countsOf(evm, { references })).toEqual({ signatureNotVerifiable: 1 })
  })
})

const hashOf = (bytes: Uint8Array) => new Uint8Array(hash('sha256', bytes, 'buffer'))

describe('a buffer (IMA-17)', () => {
  it('that may be a file is not allowed by two checks, and by one where no files are compared', () => {
    for (const name of ['/bin/evil', '\x03evil']) {
      const kernel = new MeasuringKernel().buffer(name, '\x03\x02')
      expect(countsOf(kernel, { references: { files } })).toEqual({ buffers: 1, buffersNotAllowed: 1, unjudged: 1 })
      expect(countsOf(kernel)).toEqual({ buffers: 1, buffersNotAllowed: 1 })
      expect(countsOf(kernel, { references: null })).toEqual({ buffers: 1, buffersNotAllowed: 1 })
    }
    const path = new MeasuringKernel().buffer('/bin/evil', 'text')
    expect(countsOf(path, { references: { files } })).toEqual({ buffers: 1, buffersNotAllowed: 1, unjudged: 1 })
    const dotted = new MeasuringKernel().buffer('.evil', '\x05')
    expect(countsOf(dotted, { references: { files } })).toEqual({ buffers: 1, buffersNotAllowed: 1, unjudged: 1 })
  })

  it('with a digest that is not computed may be a file', () => {
    const data = templateData(digestField(new Uint8Array(32), 'sm3'), 'selinux-state\0', 'x')
    const kernel = new MeasuringKernel().record('ima-buf', data)
    expect(countsOf(kernel, { references: { files } })).toEqual({ buffers: 1, buffersNotAllowed: 1, unjudged: 1 })
  })
})

describe('files', () => {
  it('are judged where reference values name patterns alone', () => {
    const pattern = { kind: 'glob', text: '/opt/*' } as const
    const references = { patterns: [{ pattern, digests: hexDigest('sha256', '1'.repeat(64)) }] }
    expect(countsOf(new MeasuringKernel().file('/bin/any', digest), { references })).toEqual({ unlisted: 1 })
  })
})
