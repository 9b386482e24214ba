import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { evidenceText } from '../../../test/support/verifier-rig.ts'
import { toBase64url } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { parseAttestationRequest } from './attestation-request.ts'
import { requireBinding } from './binding.ts'
import { EvidenceRefusal } from './evidence-refusal.ts'

const simulator = createSimulator({ clock: new FakeClock() })
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const filled = (value: number) => new Uint8Array(64).fill(value)

/** `bound`, or the code of the refusal and the checks that it names. */
function outcome(quote: Uint8Array, more: JsonObject): string {
  const body = { tee: 'tdx', evidence: evidenceText(quote), ...more }
  try {
    requireBinding(parseAttestationRequest(Buffer.from(JSON.stringify(body))))
    return 'bound'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const findings = error instanceof EvidenceRefusal ? error.findings : []
    const ids = findings.filter((finding) => finding.outcome === 'failed').map(({ id }) => id)
    return [error.code, error.status, error.facts['field'], ...ids].join(' ')
  }
}

const mismatch = 'AS.EVIDENCE.BINDING_MISMATCH 422 evidence.quote tdx.reportData'

interface RawCase {
  readonly input: string
  readonly verdict: string
  readonly expectedReportDataHex: string | null
  readonly why: string
}
interface StructuredCase {
  readonly name: string
  readonly structured: JsonObject
  readonly sha256: string
  readonly sha384: string
  readonly sha512: string
  readonly reportDataSha384: string
}

describe.skipIf(!haveVectors)('the recorded runtime data', () => {
  const recorded = haveVectors ? vectorJson('token/runtime-data.json') : { raw: [], structured: [] }
  const { raw, structured } = recorded as { readonly raw: RawCase[]; readonly structured: StructuredCase[] }

  it.each(raw)('raw, $why: $verdict (SVC-24, SVC-25)', ({ input, expectedReportDataHex }) => {
    const more = { runtime_data: { raw: input } }
    if (expectedReportDataHex === null) {
      const refused = 'AS.REQUEST.INVALID_ARGUMENT 400 runtime_data.raw'
      expect(outcome(simulator.quote({ reportData: filled(0) }), more)).toBe(refused)
      return
    }
    const reportData = bytes(expectedReportDataHex)
    expect(outcome(simulator.quote({ reportData }), more)).toBe('bound')
    for (const at of [0, 63]) {
      const other = reportData.with(at, (reportData[at] ?? 0) ^ 1)
      expect(outcome(simulator.quote({ reportData: other }), more)).toBe(mismatch)
    }
  })

  it.each(structured)('structured, $name (SVC-26)', ({ structured: document, ...digests }) => {
    const hashed = (reportData: string, runtime_data_hash_algorithm: string | null) =>
      outcome(simulator.quote({ reportData: bytes(reportData.padEnd(128, '0')) }), {
        runtime_data: { structured: document },
        runtime_data_hash_algorithm,
      })
    expect(hashed(digests.reportDataSha384, null)).toBe('bound')
    expect(hashed(digests.sha384, 'sha384')).toBe('bound')
    expect(hashed(digests.sha256, 'sha256')).toBe('bound')
    expect(hashed(digests.sha512, 'sha512')).toBe('bound')
    expect(hashed(digests.sha256, 'sha384')).toBe(mismatch)
    expect(hashed(digests.sha256.replace(/.$/, '1').replace(/^./, '1'), 'sha256')).toBe(mismatch)
  })
})

describe('init data and MRCONFIGID (SVC-28)', () => {
  const ofInitData = (mrConfigId: Uint8Array, digest: Uint8Array) =>
    outcome(simulator.quote({ reportData: filled(1), mrConfigId }), {
      init_data: { init_data_digest: toBase64url(digest) },
    })
  const differs = 'AS.EVIDENCE.BINDING_MISMATCH 422 evidence.quote tdx.references'
  const digest = filled(5)

  it.each([
    ['a SHA-256 with zeros behind it', digest.slice(0, 32), digest.slice(0, 48).fill(0, 32), 'bound'],
    ['a SHA-256 with something behind it', digest.slice(0, 32), digest.slice(0, 48).fill(0, 33), differs],
    ['a SHA-384', digest.slice(0, 48), digest.slice(0, 48), 'bound'],
    ['another SHA-384', digest.slice(0, 48), digest.slice(0, 48).with(47, 0), differs],
    ['a SHA-512, which is cut', digest, digest.slice(0, 48), 'bound'],
    ['a TD without init data', digest, new Uint8Array(48), differs],
  ])('%s', (_, given, mrConfigId, expected) => {
    expect(ofInitData(mrConfigId, given)).toBe(expected)
  })
})

describe('a quote that nothing can be bound to', () => {
  const more = { runtime_data: { raw: toBase64url(filled(1)) } }
  const quote = simulator.quote({ reportData: filled(1) })

  it.each([
    ['is cut', quote.subarray(0, 1100), 'tdx.quote.lengths'],
    ['has another version', quote.with(0, 9), 'tdx.quote.version'],
    ['has something behind it', Uint8Array.from([...quote, 1]), 'tdx.quote.padding'],
  ])('%s', (_, changed, id) => {
    expect(outcome(changed, more)).toBe(`AS.EVIDENCE.INVALID_QUOTE 422 evidence.quote ${id}`)
  })

  it('is about an enclave', () => {
    const sgx = simulator.quote({ reportData: filled(1), version: 3 })
    expect(outcome(sgx, more)).toBe('AS.EVIDENCE.INVALID_QUOTE 422 evidence.quote tdx.evidence.kind')
  })

  it('is judged without runtime data as well (SVC-27)', () => {
    expect(outcome(quote, {})).toBe('bound')
    expect(outcome(quote.with(0, 9), {})).toContain('INVALID_QUOTE')
  })
})
