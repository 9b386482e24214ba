import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type RecordedMachine,
  type RecordedParts,
  type RecordedQuote,
  type RecordedStep,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
} from '../../../test/support/recorded-tpm.ts'
import { akAttributes } from '../../../test/support/software-tpm.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { parseText } from '../../base/bytes.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { encodeTpmEvidence, parseTpmEvidence } from '../../evidence/tpm/evidence-json.ts'
import { encodeSizedPublic, nameOf, objectAttributes, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { encodeTpmSignature } from '../../evidence/tpm/signature.ts'
import { appraiseTpm, type TpmAppraisal } from './appraise-tpm.ts'
import type { TpmCounters, TpmInputs } from './inputs.ts'

const failedOf = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
const required = { eventLog: 'required', ima: 'required' } as const
const optional = { eventLog: 'optional', ima: 'optional' } as const
const underEndorsement = { under: 'hierarchy', hierarchy: 'endorsement' } as const

const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as RecordedQuote[]) : []
const quoteFiles = manifest.filter(({ file }) => file.endsWith('.attest'))
const entryOf = (file: string): RecordedQuote => {
  const entry = quoteFiles.find((quote) => quote.file === file)
  if (!entry) throw new TypeError(`no ${file} in the manifest`)
  return entry
}
const recordedNonce = ({ expected }: RecordedQuote) => ({
  nonce: expected.attest.extraData,
  select: expected.attest.select,
})

const machine: RecordedMachine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { aks: {}, steps: [] }
const steps = machine.steps

function keyOf({ ak }: RecordedStep): { file: string; parent: string } {
  const key = machine.aks[ak]
  if (!key) throw new TypeError(`no key ${ak}`)
  return { file: `sequence/${key.file}`, parent: `sequence/${key.parent}.tpmt` }
}

function partsOf(step: RecordedStep): RecordedParts {
  const at = `sequence/${step.id}`
  const logs = { eventLog: step.eventLog, ima: `sequence/${step.ima.file}` }
  return { ak: keyOf(step).file, attest: `${at}.attest`, signature: `${at}.sig`, pcrs: `${at}.pcrs.json`, ...logs }
}

function inputsOf(step: RecordedStep, counters: TpmCounters | null = null): TpmInputs {
  const { file, parent } = keyOf(step)
  return recordedInputs(step, { ...recordedEnrolment(file, parent), counters }, required)
}

function stepNamed(id: string): RecordedStep {
  const step = steps.find((one) => one.id === id)
  if (!step) throw new TypeError(`no step ${id}`)
  return step
}

describe.skipIf(!haveVectors)('three boots of one machine, nine quotes by four keys (TT-4)', () => {
  it('are affirmed in their order, with the counters of the last one kept for each key', () => {
    const kept = new Map<string, TpmCounters>()
    const newBoots: string[] = []
    for (const step of steps) {
      const appraisal = appraiseTpm(recordedEvidence(partsOf(step)), inputsOf(step, kept.get(step.ak) ?? null))
      expect([step.id, failedOf(appraisal)]).toEqual([step.id, []])
      expect([step.id, appraisal.affirmed]).toEqual([step.id, step.expect.startsWith('accept')])
      if (appraisal.counters) kept.set(step.ak, appraisal.counters)
      if (appraisal.newBoot) newBoots.push(step.id)
    }
    expect(newBoots).toEqual(['s1', 's2r', 's2p', 's2e', 's3', 's5'])
  })

  it.each([
    ['s1', 's2'],
    ['s2', 's3'],
    ['s4', 's5'],
    ['s5', 's6'],
    ['s1', 's6'],
  ])('%s after %s is a rollback (TPM-26)', (earlier, later) => {
    const { counters } = appraiseTpm(recordedEvidence(partsOf(stepNamed(later))), inputsOf(stepNamed(later)))
    expect(counters).not.toBeNull()
    const again = appraiseTpm(recordedEvidence(partsOf(stepNamed(earlier))), inputsOf(stepNamed(earlier), counters))
    expect(failedOf(again)).toEqual(['tpm.counters.rollback'])
  })

  // s3 shows safe = 0: within one boot its clock is not compared, only its nonce keeps it from being used again.
  it.each(steps.filter(({ id }) => id !== 's3'))('$id repeated is a rollback', (step) => {
    const { counters } = appraiseTpm(recordedEvidence(partsOf(step)), inputsOf(step))
    const again = appraiseTpm(recordedEvidence(partsOf(step)), inputsOf(step, counters))
    expect(failedOf(again)).toEqual(['tpm.counters.rollback'])
  })

  it('with the logs of another boot do not verify', () => {
    const evidence = recordedEvidence({ ...partsOf(stepNamed('s2')), ...logsOf('s3') })
    expect(failedOf(appraiseTpm(evidence, inputsOf(stepNamed('s2'))))).toEqual([
      'tpm.eventlog.replay',
      'tpm.ima.replay',
      'tpm.ima.bootAggregate',
    ])
  })

  it('say what they prove', () => {
    const { claims } = appraiseTpm(recordedEvidence(partsOf(stepNamed('s2'))), inputsOf(stepNamed('s2')))
    expect(claims).toMatchObject({
      tpm: {
        ak_trusted: true,
        ak_trust: 'ek-certificate',
        ak_name: '000b44723f228f778048596708cbed72f50409ec8e8a1e22b6f13d797858e12ff9c2',
        nonce_matched: true,
        quoted_pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14],
        pcr_bank: ['sha256', 'sha384'],
        reset_count: 2,
        restart_count: 0,
        clock_safe: true,
        firmware_version: '2019102300163636',
        new_boot: true,
        eventlog_present: true,
        eventlog_verified: true,
      },
      ima: { verified: true, sha1_padded: false },
    })
  })
})

function logsOf(id: string): { eventLog: string; ima: string } {
  const step = stepNamed(id)
  return { eventLog: step.eventLog, ima: `sequence/${step.ima.file}` }
}

describe.skipIf(!haveVectors)('a Linux guest', () => {
  it.each(['g1', 'g2', 'g3'])('quote %s over three banks is affirmed with both logs', (id) => {
    const entry = entryOf(`guest/${id}.attest`)
    const { with: files, qualifiedSignerProof, verdict } = entry.expected
    expect(verdict).toBe('accept')
    const parts = { ...files, ak: 'guest/ak.tpmt', attest: entry.file, signature: `guest/${id}.sig` }
    const enrolment = recordedEnrolment('guest/ak.tpmt', qualifiedSignerProof?.parent ?? '')
    const appraisal = appraiseTpm(recordedEvidence(parts), recordedInputs(recordedNonce(entry), enrolment, required))
    expect(failedOf(appraisal)).toEqual([])
    expect(appraisal.affirmed).toBe(true)
  })
})

describe.skipIf(!haveVectors)('a machine on GCE', () => {
  const quoteOf = (bank: string, minimumLength?: number) => {
    const entry = entryOf(`quotes/gce-cos85/${bank}.attest`)
    const at = `quotes/gce-cos85/${bank}`
    const files = { ak: 'quotes/gce-cos85/ak.tpmt', eventLog: 'quotes/gce-cos85/eventlog.bin' }
    const parts = { ...files, attest: `${at}.attest`, signature: `${at}.sig`, pcrs: `${at}.pcrs.json` }
    const logs = { eventLog: 'required', ima: 'optional' } as const
    const inputs = recordedInputs(recordedNonce(entry), recordedEnrolment(files.ak, underEndorsement), logs)
    const expected = minimumLength === undefined ? inputs.expected : { ...inputs.expected, minimumLength }
    return appraiseTpm(recordedEvidence(parts), { ...inputs, expected })
  }

  it.each(['sha256', 'sha384'])('its %s quote is affirmed where two bytes are enough', (bank) => {
    const appraisal = quoteOf(bank, 2)
    expect(failedOf(appraisal)).toEqual([])
    expect(appraisal.affirmed).toBe(true)
  })

  it.each(['sha256', 'sha384'])('its %s quote has too short a nonce otherwise (TPM-19)', (bank) => {
    expect(failedOf(quoteOf(bank))).toEqual(['tpm.quote.nonceLength'])
    expect(failedOf(quoteOf(bank, 3))).toEqual(['tpm.quote.nonceLength'])
  })

  it('its SHA-1 quote is refused (TPM-24)', () => {
    expect(failedOf(quoteOf('sha1', 2))).toEqual(['tpm.pcrs.strongBank', 'tpm.pcrs.required'])
  })
})

/** An RSA key of which nothing but the public half is known, with attributes that nobody vouches for. */
function areaOf(jwk: JsonWebKey, attributes = akAttributes): TpmtPublic {
  const head = { nameAlg: 'sha256', attributes, authPolicy: new Uint8Array() } as const
  const forms = { symmetric: { algorithm: 'null' }, scheme: { algorithm: 'rsassa', hash: 'sha256' } } as const
  const modulus = parseText(jwk.n ?? '', 'base64url', 'n')
  return { type: 'rsa', ...head, ...forms, keyBits: 8 * modulus.length, exponent: 0, modulus }
}

function evidenceBy(area: TpmtPublic, quote: TpmEvidence['quotes'][number]): TpmEvidence {
  const ak = { publicArea: encodeSizedPublic(area), certificate: null }
  const ek = { publicArea: null, certificate: null, chain: [] }
  return { ak, ek, quotes: [quote], eventLog: null, ima: null, simulated: false }
}

describe.skipIf(!haveVectors)('quotes of others, whose keys are known only in part', () => {
  const appraised = (file: string, area: TpmtPublic, signature: Uint8Array, pcrs?: string) => {
    const entry = entryOf(file)
    const values =
      pcrs === undefined
        ? new Map()
        : recordedEvidence({ ak: 'guest/ak.tpmt', attest: file, signature: file, pcrs }).quotes[0]?.pcrs
    const evidence = evidenceBy(area, { attest: vector(`tpm/${file}`), signature, pcrs: values ?? new Map() })
    const enrolment = { ...recordedEnrolment('guest/ak.tpmt', underEndorsement), akName: nameOf(area) }
    return appraiseTpm(evidence, recordedInputs(recordedNonce(entry), enrolment, optional))
  }
  const azure = (name: string, attributes = akAttributes) => {
    const at = `quotes/azure-snp/${name}`
    const raw = vector(`tpm/${at}.rawsig`)
    const signature = encodeTpmSignature({ algorithm: 'rsassa', hash: 'sha256', signature: raw })
    const pcrs = name === 'foreign-ak' ? undefined : `${at}.pcrs.json`
    return appraised(`${at}.attest`, areaOf(vectorJson(`tpm/${at}.akjwk.json`), attributes), signature, pcrs)
  }

  it.each(['evidence-v0', 'evidence-v1', 'tpm-quote-v1'])(
    'Azure %s: is by a primary key of the endorsement hierarchy with these very attributes (TPM-13)',
    (name) => {
      expect(failedOf(azure(name))).toEqual([])
      expect(azure(name).affirmed).toBe(true)
      const withoutNoDa = akAttributes - 2 ** objectAttributes.noDA
      expect(failedOf(azure(name, withoutNoDa))).toEqual(['tpm.quote.signer'])
    },
  )

  it('Azure foreign-ak: the key beside it did not sign it (TPM-14)', () => {
    expect(failedOf(azure('foreign-ak'))).toContain('tpm.quote.signature')
  })

  it('keylime: the signature verifies, but an SPKI shows no attributes (TPM-11)', () => {
    const jwk = createPublicKey(Buffer.from(vector('tpm/quotes/keylime-unit/ak.pem'))).export({ format: 'jwk' })
    const signature = vector('tpm/quotes/keylime-unit/quote.sig')
    const appraisal = appraised('quotes/keylime-unit/quote.attest', areaOf(jwk, 0), signature)
    expect(appraisal.findings).toContainEqual({ id: 'tpm.quote.signature', outcome: 'passed' })
    expect(failedOf(appraisal)).toEqual(['tpm.ak.attributes', 'tpm.quote.signer', 'tpm.pcrs.map', 'tpm.pcrs.required'])
  })

  it('keylime: PCR 15, 16 and 22 of a software TPM are not enough (TPM-25)', () => {
    const at = 'quotes/keylime-files'
    const parts = { ak: `${at}/ak.tpmt`, attest: `${at}/quote.attest`, signature: `${at}/quote.sig` }
    const inputs = recordedInputs(
      recordedNonce(entryOf(parts.attest)),
      recordedEnrolment(parts.ak, underEndorsement),
      optional,
    )
    const appraisal = appraiseTpm(recordedEvidence(parts), inputs)
    expect(appraisal.findings).toContainEqual({ id: 'tpm.quote.signature', outcome: 'passed' })
    expect(failedOf(appraisal)).toEqual(['tpm.quote.signer', 'tpm.pcrs.map', 'tpm.pcrs.required'])
  })

  it('rust-keylime: a SHA-1 quote by a SHA-1 signature is refused for both (TPM-15, TPM-24)', () => {
    const at = 'quotes/rust-keylime'
    const parts = { ak: 'quotes/gce-cos85/ak.tpmt', attest: `${at}/quote.attest`, signature: `${at}/quote.sig` }
    const entry = entryOf(parts.attest)
    const appraisal = appraiseTpm(recordedEvidence(parts), recordedInputs(recordedNonce(entry), null, optional))
    expect(failedOf(appraisal)).toEqual(expect.arrayContaining(['tpm.pcrs.strongBank', 'tpm.quote.scheme']))
  })
})

describe.skipIf(!haveVectors)('any flipped byte that is signed, or signs, is refused (TT-3)', () => {
  const masks = [0x01, 0x20, 0xff]
  const flipped = (bytes: Uint8Array, at: number, mask: number) =>
    Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ mask : byte))

  it.each(steps)('$id: attest, signature and public area', (step) => {
    const { eventLog: _log, ima: _ima, ...parts } = partsOf(step)
    const evidence = recordedEvidence(parts)
    const { file, parent } = keyOf(step)
    const inputs = recordedInputs(step, recordedEnrolment(file, parent), optional)
    expect(appraiseTpm(evidence, inputs).affirmed).toBe(true)
    const [quote] = evidence.quotes
    if (!quote) return expect.unreachable()
    const affirmed: string[] = []
    const tryOne = (where: string, changed: TpmEvidence) => {
      if (appraiseTpm(changed, inputs).affirmed) affirmed.push(where)
    }
    for (const mask of masks) {
      for (const member of ['attest', 'signature'] as const) {
        quote[member].forEach((_, at) => {
          const changed = { ...quote, [member]: flipped(quote[member], at, mask) }
          tryOne(`${member} ${at} ${mask}`, { ...evidence, quotes: [changed] })
        })
      }
    }
    evidence.ak.publicArea.forEach((_, at) => {
      const publicArea = flipped(evidence.ak.publicArea, at, 0x20)
      tryOne(`public ${at}`, { ...evidence, ak: { publicArea, certificate: null } })
    })
    expect(affirmed).toEqual([])
  })
})

describe.skipIf(!haveVectors)('the container', () => {
  it.each(steps)('keeps $id as it is', (step) => {
    const evidence = recordedEvidence(partsOf(step))
    expect(parseTpmEvidence(JSON.stringify(encodeTpmEvidence(evidence)))).toEqual(evidence)
  })
})
