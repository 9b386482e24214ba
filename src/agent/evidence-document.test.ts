import { describe, expect, it } from 'vitest'
import { SoftwareTpm } from '../../test/support/software-tpm.ts'
import { AttestdError, MalformedError } from '../base/errors.ts'
import { encodeTpmEvidence } from '../evidence/tpm/evidence-json.ts'
import { encodeEvidenceDocument, parseEvidenceDocument } from './evidence-document.ts'

const nonce = new Uint8Array(32).fill(7)
const evidence = new SoftwareTpm().evidence(nonce)
const bytes = (document: unknown) =>
  new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document))
const errorOf = (act: () => unknown): AttestdError => {
  try {
    act()
  } catch (error) {
    if (error instanceof AttestdError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('an evidence document', () => {
  it('is the body of POST /v1/attestation: two alphabets nested, raw runtime data (SVC-17, SVC-24)', () => {
    const document = JSON.parse(encodeEvidenceDocument(evidence, nonce))
    expect(Object.keys(document)).toEqual(['tee', 'evidence', 'runtime_data'])
    expect(document.tee).toBe('tpm')
    expect(document.runtime_data).toEqual({ raw: Buffer.from(nonce).toString('base64url') })
    expect(document.evidence).toMatch(/^[\w-]+$/)
    expect(JSON.parse(Buffer.from(document.evidence, 'base64url').toString())).toEqual(
      JSON.parse(JSON.stringify(encodeTpmEvidence(evidence))),
    )
  })

  it('is read back, and so is a bare container', () => {
    expect(parseEvidenceDocument(bytes(encodeEvidenceDocument(evidence, nonce)))).toEqual(evidence)
    expect(parseEvidenceDocument(bytes(encodeTpmEvidence(evidence)))).toEqual(evidence)
  })

  it('is read without a look at what it says beside the evidence', () => {
    const document = JSON.parse(encodeEvidenceDocument(evidence, nonce))
    const changed = { ...document, runtime_data: 7, policy_ids: ['x'], unknown: null }
    expect(parseEvidenceDocument(bytes(changed))).toEqual(evidence)
  })

  it.each([
    ['another kind', { tee: 'tdx', evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['no kind', { evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['a kind that is no text', { tee: ['tpm'], evidence: 'e30' }, 'EVIDENCE_UNSUPPORTED'],
    ['no evidence', { tee: 'tpm' }, 'MALFORMED'],
    ['evidence in the other alphabet', { tee: 'tpm', evidence: 'e30=' }, 'MALFORMED'],
    ['an empty container', { tee: 'tpm', evidence: 'e30' }, 'MALFORMED'],
    ['an empty object', {}, 'MALFORMED'],
    ['no JSON', 'evidence', 'MALFORMED'],
    ['another document', [], 'MALFORMED'],
  ])('with %s is refused', (_, document, code) => {
    expect(errorOf(() => parseEvidenceDocument(bytes(document))).code).toBe(code)
  })

  it('names the member that is wrong', () => {
    const { quotes: _, ...without } = encodeTpmEvidence(evidence)
    const inner = Buffer.from(JSON.stringify(without)).toString('base64url')
    const error = errorOf(() => parseEvidenceDocument(bytes({ tee: 'tpm', evidence: inner })))
    expect(error).toBeInstanceOf(MalformedError)
    expect(error.message).toBe('evidence.quotes: is missing')
  })

  it('is not written where a log is longer than any verifier reads, by one byte', () => {
    const limit = 2 << 20
    const withLog = (size: number) => encodeEvidenceDocument({ ...evidence, eventLog: new Uint8Array(size) }, nonce)
    expect(parseEvidenceDocument(bytes(withLog(limit))).eventLog).toHaveLength(limit)
    expect(errorOf(() => withLog(limit + 1)).message).toBe(
      `the event log has ${limit + 1} bytes, and may have ${limit}`,
    )
    const ima = { from: 0, column: 'sha1' as const, data: new Uint8Array((24 << 20) + 1) }
    expect(errorOf(() => encodeEvidenceDocument({ ...evidence, ima }, nonce)).code).toBe('EVIDENCE_TOO_LARGE')
  })
})
