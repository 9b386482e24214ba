import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { deriveReportData } from '../../evidence/binding.ts'
import { type GuestEvidence, tpmPartOf } from '../../evidence/composite.ts'
import { appraiseGuest, type GuestInputs } from './appraise-guest.ts'
import { compositeChecks } from './checks.ts'
import { guestChecks } from './guest-checks.ts'

const guest = new SimulatedGuest()
const seed = new Uint8Array(48).fill(7)
const otherSeed = new Uint8Array(48).fill(8)
const whole = guest.both(seed)
const inputs = guest.inputs(seed)

const judged = (evidence: GuestEvidence, changes: Partial<GuestInputs> = {}) =>
  appraiseGuest(evidence, { ...inputs, ...changes })
const refusedBy = (evidence: GuestEvidence, changes: Partial<GuestInputs> = {}) => {
  const { affirmed, findings } = judged(evidence, changes)
  expect(affirmed).toBe(false)
  return findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
}

/** One byte of a container that no check of the TPM looks at. */
function respaced({ tpm }: typeof whole): Uint8Array {
  return new TextEncoder().encode(new TextDecoder().decode(tpm.container).replace('{', '{ '))
}

describe('a TD beside a TPM', () => {
  it('is affirmed as a TD, bound to the TPM, simulated because one part is (BRK-90 to BRK-93, TOK-04)', () => {
    const { affirmed, tee, binding, simulated, claims, findings } = judged(whole)
    expect({ affirmed, tee, binding, simulated }).toEqual({
      affirmed: true,
      tee: 'tdx',
      binding: [{ edge: 'tdx+tpm', outcome: 'passed' }],
      simulated: true,
    })
    expect(claims).toMatchObject({ tdx: { report_data_bound: true }, tpm: {}, tcb: { status: 'UpToDate' } })
    expect(findings.map(({ id }) => id)).toEqual(Object.keys(guestChecks))
    expect(findings.filter(({ id }) => id in compositeChecks).map(({ outcome }) => outcome)).toEqual(
      Array(3).fill('passed'),
    )
  })

  it.each<[string, () => GuestEvidence, string[]]>([
    [
      'a TPM container with one byte more, which says the same',
      () => ({ ...whole, tpm: { ...whole.tpm, container: respaced(whole) } }),
      ['tdx.reportData', 'composite.nonce', 'composite.devices'],
    ],
    [
      'TPM evidence of the same challenge, collected again',
      () => ({ ...whole, tpm: guest.tpmPart(seed) }),
      ['tdx.reportData', 'composite.nonce', 'composite.devices'],
    ],
    [
      'a TD quote of another round',
      () => ({ ...whole, tdx: guest.tdBeside(otherSeed, whole.tpm) }),
      ['tdx.reportData', 'composite.nonce', 'composite.devices'],
    ],
    [
      'a TPM quote of another round, which the TD quote covers',
      () => {
        const tpm = guest.tpmPart(otherSeed)
        return { tdx: guest.tdBeside(seed, tpm), tpm }
      },
      ['tpm.quote.nonce', 'composite.nonce'],
    ],
    [
      'both of another round',
      () => guest.both(otherSeed),
      ['tdx.reportData', 'tpm.quote.nonce', 'composite.nonce', 'composite.devices'],
    ],
    [
      'a TD quote that covers no device',
      () => ({ ...whole, tdx: guest.tdBeside(seed, null) }),
      ['tdx.reportData', 'composite.devices'],
    ],
    [
      'a TD quote over the bare challenge',
      () => ({ ...whole, tdx: guest.tdEvidence(seed) }),
      ['tdx.reportData', 'composite.nonce', 'composite.devices'],
    ],
    [
      'TPM evidence whose bytes were never fixed, and a TD quote that covers no device',
      () => ({ tdx: guest.tdBeside(seed, null), tpm: { evidence: whole.tpm.evidence, container: null } }),
      ['composite.devices'],
    ],
    [
      'the quote of another TPM, which the TD quote covers',
      () => {
        const tpm = tpmPartOf(new SimulatedGuest().tpmPart(seed).evidence)
        return { tdx: guest.tdBeside(seed, tpm), tpm }
      },
      ['tpm.ak.known', 'tpm.quote.signer'],
    ],
    ['no TPM', () => ({ tdx: guest.tdBeside(seed, null), tpm: null }), ['composite.complete', 'composite.nonce']],
    [
      'its TPM taken away',
      () => ({ ...whole, tpm: null }),
      ['tdx.reportData', 'composite.complete', 'composite.nonce', 'composite.devices'],
    ],
    ['no TD', () => ({ ...whole, tdx: null }), ['composite.complete', 'composite.nonce', 'composite.devices']],
    [
      'nothing at all',
      () => ({ tdx: null, tpm: null }),
      ['composite.complete', 'composite.nonce', 'composite.devices'],
    ],
    [
      'a quote that does not parse',
      () => ({ ...whole, tdx: { ...whole.tdx, quote: new Uint8Array(64) } }),
      ['tdx.quote.version', 'composite.nonce', 'composite.devices'],
    ],
  ])('with %s is refused, by exactly these checks', (_, evidence, failed) => {
    const given = evidence()
    expect(refusedBy(given)).toEqual(failed)
    expect(judged(given)).toMatchObject({ tee: null, claims: {}, simulated: null, binding: [] })
  })

  it('names the part that is missing, and the half of the binding that is broken', () => {
    const detail = (evidence: GuestEvidence, id: string) =>
      judged(evidence).findings.find((finding) => finding.id === id)?.detail
    expect(detail({ ...whole, tpm: null }, 'composite.complete')).toBe('missing: tpm')
    expect(detail(guest.both(otherSeed), 'composite.nonce')).toBe(
      'the TD quote is over other report data; the TPM quote is over other qualifying data',
    )
    const uncovered = { ...whole, tdx: guest.tdBeside(seed, null) }
    expect(detail(uncovered, 'composite.devices')).toBe('the TD quote covers no device')
  })
})

describe('what is required decides what is enough', () => {
  const tdAlone = { tdx: guest.tdBeside(seed, null), tpm: null }
  const tpmAlone = { tdx: null, tpm: { evidence: whole.tpm.evidence, container: null } }

  it('a TD alone, where no TPM is required, is judged by the checks of TDs alone', () => {
    const { affirmed, tee, binding, findings } = judged(tdAlone, { required: ['tdx'] })
    expect({ affirmed, tee, binding }).toEqual({ affirmed: true, tee: 'tdx', binding: [] })
    expect(findings.every(({ id }) => id.startsWith('tdx.'))).toBe(true)
  })

  it('a TPM alone, where no TD is required, is judged by the checks of TPMs alone', () => {
    const { affirmed, tee, simulated, findings } = judged(tpmAlone, { required: ['tpm'] })
    expect({ affirmed, tee, simulated }).toEqual({ affirmed: true, tee: 'tpm', simulated: false })
    expect(findings.every(({ id }) => id.startsWith('tpm.'))).toBe(true)
  })

  it('a TD whose TPM was taken away is refused also where no TPM is required: its quote covers one', () => {
    expect(refusedBy({ ...whole, tpm: null }, { required: ['tdx'] })).toEqual(['tdx.reportData'])
  })

  it.each([['tdx' as const], ['tpm' as const]])('both are bound where %s alone is required', (kind) => {
    expect(judged(whole, { required: [kind] }).binding).toEqual([{ edge: 'tdx+tpm', outcome: 'passed' }])
    const unbound = { ...whole, tdx: guest.tdBeside(seed, null) }
    expect(refusedBy(unbound, { required: [kind] })).toEqual(['tdx.reportData', 'composite.devices'])
  })

  it.each<[string, GuestEvidence, Partial<GuestInputs>, string]>([
    ['a TPM where a TD is required', tpmAlone, { required: ['tdx'] }, 'missing: tdx'],
    ['a TD where a TPM is required', tdAlone, { required: ['tpm'] }, 'missing: tpm'],
    ['a TD that nobody judges', tdAlone, { required: ['tdx'], tdx: null }, 'missing: tdx'],
    ['a TPM that nobody judges', tpmAlone, { required: ['tpm'], tpm: null }, 'missing: tpm'],
  ])('%s is refused', (_, evidence, changes, detail) => {
    expect(refusedBy(evidence, changes)).toContain('composite.complete')
    const { findings } = judged(evidence, changes)
    expect(findings.find(({ id }) => id === 'composite.complete')?.detail).toBe(detail)
  })

  it.each<[string, Partial<GuestInputs>, string]>([
    ['TD', { required: ['tpm'], tdx: null }, 'composite.devices'],
    ['TPM', { required: ['tdx'], tpm: null }, 'composite.nonce'],
  ])('a %s that nobody judges does not ride along with a part that is affirmed', (_, changes, id) => {
    expect(refusedBy(whole, changes)).toContain(id)
  })

  it('nothing required affirms nothing', () => {
    expect(judged({ tdx: null, tpm: null }, { required: [] }).affirmed).toBe(false)
  })
})

it('report data without the tag of our transcripts is never accepted (BRK-93)', () => {
  const untagged = deriveReportData(seed, new Uint8Array()).slice(0, 48)
  expect(refusedBy({ tdx: guest.tdEvidence(untagged), tpm: null }, { required: ['tdx'] })).toEqual(['tdx.reportData'])
})
