import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../test/support/simulated-guest.ts'
import { AttestdError, MalformedError } from '../base/errors.ts'
import { encodeComposite, type GuestEvidence } from '../evidence/composite.ts'
import { encodeTdxEvidence } from '../evidence/tdx/evidence-json.ts'
import type { TpmEvidence } from '../evidence/tpm/evidence.ts'
import { encodeTpmEvidence } from '../evidence/tpm/evidence-json.ts'
import { encodeEvidenceDocument, parseEvidenceDocument } from './evidence-document.ts'

const nonce = new Uint8Array(32).fill(7)
const { tdx, tpm } = new SimulatedGuest().both(new Uint8Array(48))
const ofTpm = (evidence: TpmEvidence): GuestEvidence => ({ tdx: null, tpm: { evidence, container: null } })
const kinds = {
  'a TPM': { evidence: ofTpm(tpm.evidence), tee: 'tpm', container: encodeTpmEvidence(tpm.evidence) },
  'a TD': { evidence: { tdx, tpm: null }, tee: 'tdx', container: encodeTdxEvidence(tdx) },
  'a TD beside a TPM': { evidence: { tdx, tpm }, tee: 'tdx', container: encodeComposite(tdx, tpm) },
} as const
const each = Object.entries(kinds)

const bytes = (document: unknown) =>
  new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document))
const inBase64url = (container: unknown) => Buffer.from(bytes(container)).toString('base64url')
const errorOf = (act: () => unknown): AttestdError => {
  try {
    act()
  } catch (error) {
    if (error instanceof AttestdError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe.each(each)('the document of %s', (_, { evidence, tee, container }) => {
  const document = JSON.parse(encodeEvidenceDocument(evidence, nonce))

  it('is the body of POST /v1/attestation: two alphabets nested, raw runtime data (SVC-17, SVC-24)', () => {
    expect(Object.keys(document)).toEqual(['tee', 'evidence', 'runtime_data'])
    expect(document.tee).toBe(tee)
    expect(document.runtime_data).toEqual({ raw: Buffer.from(nonce).toString('base64url') })
    expect(document.evidence).toMatch(/^[\w-]+$/)
    expect(JSON.parse(Buffer.from(document.evidence, 'base64url').toString())).toEqual(
      JSON.parse(JSON.stringify(container)),
    )
  })

  it('is read back, and so is its bare container', () => {
    expect(parseEvidenceDocument(bytes(document))).toEqual({ ...evidence, form: 'document', transcript: null })
    expect(parseEvidenceDocument(bytes(container))).toEqual({ ...evidence, form: 'container', transcript: null })
  })

  it('is read without a look at what it says beside the evidence', () => {
    const changed = { ...document, runtime_data: 7, policy_ids: ['x'], unknown: null }
    expect(parseEvidenceDocument(bytes(changed))).toEqual({ ...evidence, form: 'document', transcript: null })
  })

  it('is refused under the name of another kind', () => {
    const other = tee === 'tpm' ? 'tdx' : 'tpm'
    expect(errorOf(() => parseEvidenceDocument(bytes({ ...document, tee: other })))).toBeInstanceOf(MalformedError)
  })
})

describe('the bytes of a quote', () => {
  it.each([3, 4, 5])('of version %i are evidence, whatever follows', (version) => {
    const quote = Uint8Array.of(version, 0, 255)
    expect(parseEvidenceDocument(quote)).toEqual({
      tdx: { quote, ccEventLog: null, simulated: false },
      tpm: null,
      form: 'quote',
      transcript: null,
    })
  })

  it.each([
    ['version 2', [2, 0]],
    ['version 6', [6, 0]],
    ['version 0x0104', [4, 1]],
    ['one byte', [4]],
    ['no byte', []],
  ])('of %s are not', (_, start) => {
    expect(errorOf(() => parseEvidenceDocument(Uint8Array.from(start))).code).toBe('MALFORMED')
  })
})

describe('what a document says of its transcript', () => {
  const stated = (transcript: unknown) =>
    parseEvidenceDocument(bytes({ ...JSON.parse(encodeEvidenceDocument(ofTpm(tpm.evidence), nonce)), transcript }))
      .transcript
  const through = { profile: 'attestd/1', purpose: 'evidence', verifier: 'https://verifier.example' }

  it('is its profile and its verifier, and nothing that whoever judges knows himself (BRK-93)', () => {
    expect(stated({ ...through, challenge: 'AAAA', root: 7 })).toEqual({ verifier: 'https://verifier.example' })
    expect(stated({ ...through, verifier: '' })).toEqual({ verifier: '' })
    for (const none of [undefined, null, { profile: 'raw' }]) expect(stated(none)).toBeNull()
  })

  it.each([
    ['a list', [], 'MALFORMED'],
    ['a text', 'attestd/1', 'MALFORMED'],
    ['no profile', {}, 'EVIDENCE_UNSUPPORTED'],
    ['another profile', { ...through, profile: 'attestd/2' }, 'EVIDENCE_UNSUPPORTED'],
    ['evidence for a token', { ...through, purpose: 'token' }, 'MALFORMED'],
    ['no verifier', { ...through, verifier: undefined }, 'MALFORMED'],
    ['a verifier of 257 characters', { ...through, verifier: 'v'.repeat(257) }, 'MALFORMED'],
  ])('%s is refused', (_, transcript, code) => {
    expect(errorOf(() => stated(transcript)).code).toBe(code)
  })
})

describe('what is no evidence', () => {
  it.each([
    ['another kind', { tee: 'nvgpu', evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['a kind in capitals', { tee: 'TDX', evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['no kind', { evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['a kind that is no text', { tee: ['tpm'], evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['no evidence', { tee: 'tpm' }, 'MALFORMED'],
    ['no evidence of a TD', { tee: 'tdx' }, 'MALFORMED'],
    ['evidence that is no text', { tee: 'tdx', evidence: {} }, 'MALFORMED'],
    ['evidence in the other alphabet', { tee: 'tpm', evidence: 'e30=' }, 'MALFORMED'],
    ['an empty container', { tee: 'tpm', evidence: 'e30' }, 'MALFORMED'],
    ['an empty container of a TD', { tee: 'tdx', evidence: 'e30' }, 'MALFORMED'],
    ['a container that is a list', { tee: 'tdx', evidence: inBase64url([]) }, 'MALFORMED'],
    ['another format', { tee: 'tdx', evidence: inBase64url({ format: 'attestd.nvgpu' }) }, 'MALFORMED'],
    ['a bare container of another format', { format: 'attestd.nvgpu', version: 1 }, 'MALFORMED'],
    ['a quote in the URL alphabet', { quote: tdx.quote.length.toString() }, 'MALFORMED'],
    ['a composite whose TPM is missing', { ...encodeComposite(tdx, tpm), tpm: null }, 'MALFORMED'],
    ['a composite with a member more', { ...encodeComposite(tdx, tpm), nvgpu: {} }, 'MALFORMED'],
    ['an empty object', {}, 'MALFORMED'],
    ['no JSON', 'evidence', 'MALFORMED'],
    ['another document', [], 'MALFORMED'],
  ])('%s is refused', (_, document, code) => {
    expect(errorOf(() => parseEvidenceDocument(bytes(document))).code).toBe(code)
  })

  it('names the member that is wrong', () => {
    const { quotes: _, ...without } = encodeTpmEvidence(tpm.evidence)
    const error = errorOf(() => parseEvidenceDocument(bytes({ tee: 'tpm', evidence: inBase64url(without) })))
    expect(error).toBeInstanceOf(MalformedError)
    expect(error.message).toBe('evidence.quotes: is missing')
    const deep = { tee: 'tdx', evidence: inBase64url({ ...encodeTdxEvidence(tdx), cc_eventlog: 7 }) }
    expect(errorOf(() => parseEvidenceDocument(bytes(deep))).message).toBe('evidence.cc_eventlog: is not a string')
  })

  it('is not followed into the depth', () => {
    const nested = `{"format":${'['.repeat(20)}${']'.repeat(20)}}`
    const document = { tee: 'tdx', evidence: inBase64url(nested) }
    expect(errorOf(() => parseEvidenceDocument(bytes(document))).message).not.toContain('format')
  })
})

describe('evidence that no verifier would read is not written', () => {
  const log = (size: number) => new Uint8Array(size)
  const limit = 2 << 20
  const ima = (size: number) => ({ from: 0, column: 'sha1' as const, data: log(size) })
  const encoded = (evidence: GuestEvidence) => encodeEvidenceDocument(evidence, nonce)

  it('a log of the firmware that is longer by one byte', () => {
    const withTpmLog = (size: number) => encoded(ofTpm({ ...tpm.evidence, eventLog: log(size) }))
    expect(parseEvidenceDocument(bytes(withTpmLog(limit))).tpm?.evidence.eventLog).toHaveLength(limit)
    expect(errorOf(() => withTpmLog(limit + 1)).message).toBe(
      `the event log of the TPM has ${limit + 1} bytes, and may have ${limit}`,
    )
    const withTdLog = (size: number) => encoded({ tdx: { ...tdx, ccEventLog: log(size) }, tpm: null })
    expect(parseEvidenceDocument(bytes(withTdLog(limit))).tdx?.ccEventLog).toHaveLength(limit)
    expect(errorOf(() => withTdLog(limit + 1)).code).toBe('EVIDENCE_TOO_LARGE')
  })

  it('a quote that is longer by one byte', () => {
    const withQuote = (size: number) => encoded({ tdx: { ...tdx, quote: log(size) }, tpm: null })
    expect(parseEvidenceDocument(bytes(withQuote(16_384))).tdx?.quote).toHaveLength(16_384)
    expect(errorOf(() => withQuote(16_385)).message).toBe('the quote has 16385 bytes, and may have 16384')
  })

  it('an IMA log that is too long, and one that is too long beside a TD', () => {
    expect(errorOf(() => encoded(ofTpm({ ...tpm.evidence, ima: ima((24 << 20) + 1) }))).code).toBe('EVIDENCE_TOO_LARGE')
    const container = log((20 << 20) + 1)
    expect(errorOf(() => encoded({ tdx, tpm: { ...tpm, container } })).message).toBe(
      `the TPM container has ${container.length} bytes, and may have ${20 << 20}`,
    )
  })

  it('parts that are none, or whose bytes were never fixed, are a bug', () => {
    expect(() => encoded({ tdx: null, tpm: null })).toThrow(TypeError)
    expect(() => encoded({ tdx, tpm: { ...tpm, container: null } })).toThrow(TypeError)
  })
})
