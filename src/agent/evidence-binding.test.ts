import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../test/support/simulated-guest.ts'
import { concatBytes, toHex } from '../base/bytes.ts'
import { AttestdError } from '../base/errors.ts'
import {
  deriveReportData,
  deriveSeed,
  deriveTpmQualifyingData,
  digestDevices,
  hasReportDataTag,
} from '../evidence/binding.ts'
import { nonceSeed, qualifyingDataFor, reportDataFor } from './evidence-binding.ts'

const nonce = Uint8Array.from({ length: 32 }, (_, at) => at)
const tpm = new SimulatedGuest().tpmPart(nonceSeed(nonce))
const text = (value: string) => new TextEncoder().encode(value)

function refusal(value: Uint8Array): string | null {
  try {
    reportDataFor(value, null)
    return null
  } catch (error) {
    if (error instanceof AttestdError) return `${error.code} ${error.exitCode}`
    throw error
  }
}

describe('a nonce', () => {
  it('to a TPM alone is the qualifying data', () => {
    expect(qualifyingDataFor(nonce, { withTd: false })).toEqual(nonce)
  })

  it.each([8, 32, 63, 64])('of %i bytes to a TD alone is the report data, padded with zeros (TDX-041)', (size) => {
    const value = new Uint8Array(size).map((_, at) => at + 1)
    expect(reportDataFor(value, null)).toEqual(concatBytes(value, new Uint8Array(64 - size)))
  })

  it('to both is the challenge of a seed of its own, from which what each of them signs follows (BRK-91, BRK-92)', () => {
    const seed = nonceSeed(nonce)
    expect(qualifyingDataFor(nonce, { withTd: true })).toEqual(deriveTpmQualifyingData(seed))
    const devices = digestDevices([{ kind: 'tpm', index: 0, evidence: tpm.container }])
    expect(reportDataFor(nonce, tpm)).toEqual(deriveReportData(seed, devices))
    expect(hasReportDataTag(reportDataFor(nonce, tpm))).toBe(true)
  })

  it('gives a seed that stays what it is: evidence outlives the program that made it', () => {
    expect(toHex(nonceSeed(nonce))).toBe(
      '47f9a539ddf64803cc99169dff3c5d41fdf93e412ae9a617b8e9262b6c277502f6bdde32549a3e259631aa496cec078e',
    )
  })

  it('gives the seed of no token, and another one for each nonce', () => {
    const root = new Uint8Array(32)
    const ofToken = { verifier: '', challenge: nonce, root, agentKey: null } as const
    const seeds = [
      nonceSeed(nonce),
      nonceSeed(nonce.subarray(0, 31)),
      deriveSeed({ purpose: 'token', size: 0, ...ofToken }),
      deriveSeed({ purpose: 'evidence', size: 1, ...ofToken }),
    ]
    expect(new Set(seeds.map(toHex)).size).toBe(4)
  })
})

describe('a TD alone does not quote what proves nothing, nor what stands for a token (BRK-96, API-66)', () => {
  it.each([
    ['zeros', new Uint8Array(8), 'USAGE 78'],
    ['64 zeros', new Uint8Array(64), 'USAGE 78'],
    ['64 times another byte', new Uint8Array(64).fill(9), 'USAGE 78'],
    ['the tag of our transcripts', concatBytes(nonce, new Uint8Array(16), text('attestd:rdata:v1')), 'USAGE 78'],
    ['what begins like that tag', concatBytes(nonce, new Uint8Array(16), text('attestd!')), 'USAGE 78'],
    ['that tag elsewhere', concatBytes(nonce, text('attestd:rdata:v1'), new Uint8Array(16)), null],
    ['63 times another byte', new Uint8Array(63).fill(9), null],
  ])('%s', (_, value, code) => {
    expect(refusal(value)).toBe(code)
  })
})
