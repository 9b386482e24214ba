import { describe, expect, it } from 'vitest'
import { encodeCcEventLog } from '../../../test/support/cc-event-logs.ts'
import {
  event,
  globalGuid,
  healthyBoot,
  measuredBoot,
  variableData,
  wide,
} from '../../../test/support/measured-boot.ts'
import type { MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { recordedCases } from '../../../test/support/recorded-tdx.ts'
import {
  type RecordedMachine,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
} from '../../../test/support/recorded-tpm.ts'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { makeSoftwareAk, makeSoftwareEk, SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { testNow } from '../../../test/support/test-ca.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { type Claim, claimCatalogue, claimEntryOf, presentClaims, valueTypeOf } from '../../policies/index.ts'
import { appraiseGuest, type GuestAppraisal } from '../composite/appraise-guest.ts'
import { appraiseQuote } from '../tdx/appraise-quote.ts'
import { appraiseTdx } from '../tdx/appraise-tdx.ts'
import { acceptableTcbStatuses, type TdxInputs } from '../tdx/inputs.ts'
import { replayCcEventLog } from '../tdx/replay-cc-event-log.ts'
import { appraiseTpm } from '../tpm/appraise-tpm.ts'
import type { TpmInputs } from '../tpm/inputs.ts'
import { type RequestFacts, verifiedClaims } from './verified-claims.ts'

const facts: RequestFacts = { tee: 'tdx', freshness: 'challenge', now: testNow, simulator: false, documents: true }

/** Making keys takes longer than all else. */
const keys = { ek: makeSoftwareEk(), ak: makeSoftwareAk() }
const { sim } = new SimulatedGuest()

const alone = { binding: [], tpm: null, tdx: null } as const

function ofTpm(evidence: TpmEvidence, inputs: TpmInputs, changes: Partial<RequestFacts> = {}): readonly Claim[] {
  const tpm = appraiseTpm(evidence, inputs)
  const failed = tpm.findings.filter(({ outcome }) => outcome === 'failed')
  expect(failed).toEqual([])
  const { affirmed, findings, claims, simulated } = tpm
  const appraisal: GuestAppraisal = { ...alone, affirmed, findings, claims, simulated, tee: 'tpm', tpm }
  const guest = { tdx: null, tpm: { evidence, container: null } }
  return presentClaims(verifiedClaims(appraisal, guest, { ...facts, tee: 'tpm', ...changes }))
}

const valuesOf = (claims: readonly Claim[], type: string) =>
  claims.filter((claim) => claim.type === type).map(({ value }) => value)
const oneValueOf = (claims: readonly Claim[], type: string) => {
  const values = valuesOf(claims, type)
  expect([type, values.length]).toEqual([type, 1])
  return values[0]
}
const documentOf = (claims: readonly Claim[], type: string) => JSON.parse(String(oneValueOf(claims, type)))
const typesOf = (claims: readonly Claim[]) => new Set(claims.map(({ type }) => type))

/** Every claim is one of the catalogue, of its value type, and alone unless several are possible (POL-430). */
function expectCatalogued(claims: readonly Claim[]): void {
  for (const { type, value } of claims) {
    const entry = claimEntryOf(type)
    expect([type, entry?.valueType]).toEqual([type, valueTypeOf(value)])
    expect([type, entry?.notMade]).toEqual([type, null])
  }
  for (const type of typesOf(claims)) {
    if (!claimEntryOf(type)?.isMany) expect([type, valuesOf(claims, type).length]).toEqual([type, 1])
  }
}

const nonce = new Uint8Array(32).fill(3)
const selection = [{ hash: 'sha256' as const, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14] }]

/** A TPM whose registers and log are those of a boot; without IMA. */
function booted(events: readonly MeasuredEvent[] = healthyBoot(), selected = selection) {
  const tpm = new SoftwareTpm(keys)
  const { log, quoted } = measuredBoot(events, ['sha1', 'sha256', 'sha384'])
  for (const [bank, values] of quoted) tpm.banks.set(bank, values)
  const inputs = tpm.inputs(nonce)
  const requirements = { ...inputs.requirements, ima: 'optional' as const }
  const evidence = tpm.evidence(nonce, { selection: selected, eventLog: log, ima: null })
  return { evidence, inputs: { ...inputs, requirements, expected: { ...inputs.expected, selection: selected } } }
}

const claimsOfBoot = (events?: readonly MeasuredEvent[], selected?: typeof selection) => {
  const { evidence, inputs } = booted(events, selected)
  return ofTpm(evidence, inputs)
}

interface ShownEvent {
  readonly EventSeq: number
  readonly PcrIndex: number
  readonly EventTypeString: string
  readonly DigestBound: boolean
  readonly Digests: object
  readonly ProcessedData?: object
  readonly UnboundLabel?: string
}
const eventsOf = (claims: readonly Claim[], type = 'tpm.events'): readonly ShownEvent[] =>
  documentOf(claims, type).Events
const inRegister = (events: readonly ShownEvent[], pcr: number) => events.filter(({ PcrIndex }) => PcrIndex === pcr)

describe('claims of a TPM (POL-431)', () => {
  it('with both logs are those of the catalogue', () => {
    const tpm = new SoftwareTpm(keys)
    const claims = ofTpm(tpm.evidence(nonce), tpm.inputs(nonce))
    expectCatalogued(claims)
    expect(oneValueOf(claims, 'tpm.nonce_matched')).toBe(true)
    expect(oneValueOf(claims, 'aikValidated')).toBe(true)
    expect(oneValueOf(claims, 'tpmVersion')).toBe(2n)
    expect(oneValueOf(claims, 'tpm.eventlog_verified')).toBe(true)
    expect(oneValueOf(claims, 'ima.verified')).toBe(true)
    expect(oneValueOf(claims, 'attestation.type')).toBe('tpm')
    expect(oneValueOf(claims, 'attestation.time')).toBe(BigInt(Math.floor(testNow / 1000)))
    expect(valuesOf(claims, 'evidence.kinds')).toEqual(['tpm', 'ima'])
    expect(valuesOf(claims, 'tpm.quoted_pcrs')).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 10n])
  })

  it('of a boot are those of the catalogue, secure boot and command line among them', () => {
    const claims = claimsOfBoot()
    expectCatalogued(claims)
    expect(oneValueOf(claims, 'secureBootEnabled')).toBe(true)
    expect(oneValueOf(claims, 'tpm.kernel_cmdline')).toBe('/vmlinuz ro')
    expect(valuesOf(claims, 'tpm.eventlog.boot_images')).toHaveLength(1)
    expect(valuesOf(claims, 'evidence.kinds')).toEqual(['tpm'])
    expect(typesOf(claims)).not.toContain('ima.verified')
  })

  it.each([
    [false, false],
    [true, true],
  ])('say simulated as the verifier does: %s', (simulator, simulated) => {
    const { evidence, inputs } = booted()
    expect(oneValueOf(ofTpm(evidence, inputs, { simulator }), 'attestation.simulated')).toBe(simulated)
  })

  it('say of a log that does not verify only that, and that it is there', () => {
    const { evidence, inputs } = booted()
    const { log } = measuredBoot([event(0, eventTypes.efiAction, 'another boot')])
    const requirements = { ...inputs.requirements, eventLog: 'optional' as const }
    const claims = ofTpm({ ...evidence, eventLog: log }, { ...inputs, requirements })
    expect(oneValueOf(claims, 'tpm.eventlog_verified')).toBe(false)
    const said = [...typesOf(claims)].filter((type) => /event|secure|cmdline/i.test(type))
    expect(said).toEqual(['tpm.eventlog_present', 'tpm.eventlog_verified'])
  })

  it('are a bug to ask for where nothing was affirmed (POL-430)', () => {
    const refused = { ...alone, affirmed: false, findings: [], claims: {}, simulated: null, tee: null }
    expect(() => verifiedClaims(refused, { tdx: null, tpm: null }, facts)).toThrow(TypeError)
  })

  it('have the documents of events alone where nothing else is read', () => {
    const tpm = new SoftwareTpm(keys)
    const of = (documents: RequestFacts['documents']) => {
      const types = typesOf(ofTpm(tpm.evidence(nonce), tpm.inputs(nonce), { documents }))
      return [...types].filter((type) => claimEntryOf(type)?.document)
    }
    expect(of('events')).toEqual(['tpm.events', 'events'])
    expect(of(true)).toEqual(expect.arrayContaining(['tpm.events', 'tpm.pcrs', 'ima.log']))
  })

  it('have no documents where no policy asks for them', () => {
    const { evidence, inputs } = booted()
    const types = typesOf(ofTpm(evidence, inputs, { documents: false }))
    expect([...types].filter((type) => claimEntryOf(type)?.document)).toEqual([])
  })
})

describe('tpm.events (POL-432)', () => {
  it('has the variables, texts and paths that digests bind', () => {
    const events = eventsOf(claimsOfBoot())
    const [secureBoot] = inRegister(events, 7)
    expect(secureBoot).toMatchObject({
      EventTypeString: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
      DigestBound: true,
      ProcessedData: { VariableGuid: globalGuid.toUpperCase(), UnicodeName: 'SecureBoot', VariableData: 'AQ' },
    })
    expect(events[0]).toMatchObject({ EventSeq: 0, PcrIndex: 0, ProcessedData: { String: '1.0' } })
    expect(inRegister(events, 5).at(-1)?.ProcessedData).toEqual({ String: 'Exit Boot Services Invocation' })
  })

  it('names no variable whose value alone was measured: anybody could have written its name', () => {
    const order = inRegister(eventsOf(claimsOfBoot()), 1)[0]
    expect(order).toMatchObject({ DigestBound: true, ProcessedData: { VariableData: 'AQA' } })
    expect(Object.keys(order?.ProcessedData ?? {})).toEqual(['VariableData'])
  })

  it('has the text of a boot loader apart from its label, which no digest covers (ELOG-17)', () => {
    const [grub, kernel] = inRegister(eventsOf(claimsOfBoot()), 8)
    expect(grub).toMatchObject({ ProcessedData: { String: 'linux /vmlinuz ro' }, UnboundLabel: 'grub_cmd: ' })
    expect(kernel).toMatchObject({ ProcessedData: { String: '/vmlinuz ro' }, UnboundLabel: 'kernel_cmdline: ' })
  })

  it('says of what no digest binds only that it is there', () => {
    const file = inRegister(eventsOf(claimsOfBoot()), 9)[0]
    expect(file).toMatchObject({ EventTypeString: 'EV_IPL', DigestBound: false })
    expect(file).not.toHaveProperty('ProcessedData')
    expect(JSON.stringify(file)).not.toContain('vmlinuz')
  })

  it('leaves out registers that were not quoted, and what is never extended: anybody can log that', () => {
    const forged = [
      ...healthyBoot(),
      event(14, eventTypes.variableDriverConfig, variableData(globalGuid, 'SecureBoot', Uint8Array.of(1))),
      event(7, eventTypes.noAction, 'forged'),
    ]
    const without14 = [{ hash: 'sha256' as const, pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }]
    const events = eventsOf(claimsOfBoot(forged, without14))
    expect(new Set(events.map(({ PcrIndex }) => PcrIndex))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]))
    expect(JSON.stringify(events)).not.toContain('forged')
  })

  it('has digests of quoted banks alone', () => {
    const banksOf = (claims: readonly Claim[]) => Object.keys(eventsOf(claims)[0]?.Digests ?? {})
    expect(banksOf(claimsOfBoot())).toEqual(['SHA256'])
  })

  it('does not name bytes that are no text, no variable, no path', () => {
    const odd = [
      event(5, eventTypes.efiAction, Uint8Array.of(0xff, 0xfe, 0xfd)),
      event(5, eventTypes.efiAction, 'bell \u0007'),
      event(5, eventTypes.variableBoot2, 'no variable'),
      event(5, eventTypes.bootServicesApplication, 'no path'),
      event(5, eventTypes.efiAction, ''),
      event(5, eventTypes.efiAction, wide('wide')),
      event(5, eventTypes.efiAction, '__proto__'),
    ]
    const events = inRegister(eventsOf(claimsOfBoot([...healthyBoot(), ...odd])), 5).slice(-odd.length)
    expect(events.map(({ DigestBound, ProcessedData }) => [DigestBound, ProcessedData])).toEqual([
      ...Array(5).fill([true, undefined]),
      [true, { String: 'wide' }],
      [true, { String: '__proto__' }],
    ])
  })

  it('is there with 8 192 events, and not with one more: half a log would hide the other half', () => {
    const boot = healthyBoot()
    const many = (count: number) => [
      ...boot,
      ...Array.from({ length: count - boot.length }, () => event(5, eventTypes.efiAction, 'x')),
    ]
    expect(eventsOf(claimsOfBoot(many(8192)))).toHaveLength(8192)
    const claims = claimsOfBoot(many(8193))
    expect(typesOf(claims)).not.toContain('tpm.events')
    expect(typesOf(claims)).not.toContain('events')
    expect(oneValueOf(claims, 'tpm.eventlog_verified')).toBe(true)
  })
})

describe('tpm.pcrs (POL-432)', () => {
  it('has every quoted register with the banks that were quoted, and cannot be issued', () => {
    const both = [...selection, { hash: 'sha384' as const, pcrs: [7] }]
    const { evidence, inputs } = booted(healthyBoot(), both as typeof selection)
    const claims = ofTpm(evidence, inputs)
    const { PCRs } = documentOf(claims, 'tpm.pcrs')
    expect(PCRs.map(({ Index }: { Index: number }) => Index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14])
    expect(Object.keys(PCRs[7].Digests)).toEqual(['SHA256', 'SHA384'])
    expect(PCRs[0].Digests).toEqual({ SHA256: oneValueOf(claims, 'tpm.pcr.0') })
    expect(claims.filter(({ readOnly }) => readOnly).map(({ type }) => type)).toEqual(['tpm.pcrs', 'pcrs'])
  })
})

describe('ima.log (POL-432)', () => {
  const measured = (change: (tpm: SoftwareTpm) => void = () => {}) => {
    const tpm = new SoftwareTpm(keys)
    change(tpm)
    return tpm
  }
  const claimsOf = (tpm: SoftwareTpm, evidence = tpm.evidence(nonce)) => ofTpm(evidence, tpm.inputs(nonce))

  it('has the records that the quote covers, and none behind them', () => {
    const tpm = measured((one) => one.measureFile('/bin/a b\n', new Uint8Array(32).fill(1)))
    const evidence = tpm.evidence(nonce)
    tpm.measureFile('/bin/pending')
    const claims = claimsOf(tpm, { ...evidence, ima: tpm.imaLog() })
    const { Entries } = documentOf(claims, 'ima.log')
    expect(Entries.map(({ Path }: { Path: string }) => Path)).toEqual([
      'boot_aggregate',
      '/usr/lib/systemd/systemd',
      '/bin/a b\\n',
    ])
    expect(Entries[2]).toEqual({
      Index: 2,
      Template: 'ima-ng',
      Digest: `sha256:${'01'.repeat(32)}`,
      Path: '/bin/a b\\n',
      Signed: false,
      Violation: false,
    })
    expect(oneValueOf(claims, 'ima.pending_count')).toBe(1n)
  })

  it('is there with 20 000 records, and not with one more', () => {
    const digest = new Uint8Array(32).fill(1)
    const tpm = measured((one) => {
      for (let at = 2; at < 20_000; at++) one.measureFile('/a', digest)
    })
    expect(documentOf(claimsOf(tpm), 'ima.log').Entries).toHaveLength(20_000)
    tpm.measureFile('/a', digest)
    const claims = claimsOf(tpm)
    expect(typesOf(claims)).not.toContain('ima.log')
    expect(oneValueOf(claims, 'ima.entry_count')).toBe(20_001n)
  })
})

const machine: RecordedMachine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { aks: {}, steps: [] }

describe.skipIf(!haveVectors)('claims of recorded machines', () => {
  it.each(machine.steps.slice(0, 3).map((step) => [step.id, step] as const))('%s', (_id, step) => {
    const file = (suffix: string) => `sequence/${step.id}.${suffix}`
    const evidence = recordedEvidence({
      ak: `sequence/${step.ak}.tpmt`,
      attest: file('attest'),
      signature: file('sig'),
      pcrs: file('pcrs.json'),
      eventLog: step.eventLog,
      ima: `sequence/${step.ima.file}`,
    })
    const parent = step.ak === 'ak-p384' ? 'sequence/ek-p384.tpmt' : 'sequence/ek-rsa.tpmt'
    const enrolment = recordedEnrolment(`sequence/${step.ak}.tpmt`, parent)
    const claims = ofTpm(evidence, recordedInputs(step, enrolment, { eventLog: 'required', ima: 'required' }))
    expectCatalogued(claims)
    const { Entries } = documentOf(claims, 'ima.log')
    // A record of another register, which is not quoted, is no entry.
    const covered = parseImaLog(vector(`tpm/sequence/${step.ima.file}`)).slice(0, step.ima.matchedPrefixEntries)
    expect(Entries.length).toBe(covered.filter(({ pcr }) => step.select.some(([, pcrs]) => pcrs.includes(pcr))).length)
    const violations = Entries.filter(({ Violation }: { Violation: boolean }) => Violation)
    expect(BigInt(violations.length)).toBe(oneValueOf(claims, 'ima.violation_count'))
    for (const violation of violations)
      expect(Object.keys(violation).sort()).toEqual(['Index', 'Template', 'Violation'])
    const unbound = eventsOf(claims).filter(({ DigestBound }) => !DigestBound)
    expect(BigInt(unbound.length)).toBe(oneValueOf(claims, 'tpm.events_unbound'))
  })

  const proved = recordedCases().filter(({ name, expected }) => /tdx/.test(name) && expected['status'] === 'UpToDate')

  it.each(proved.map((one) => [one.name, one] as const))('%s', (_name, { quote, collateral, trustAnchors, now }) => {
    const evidence: TdxEvidence = { quote, ccEventLog: null, simulated: false }
    const policy = { acceptDebug: true, acceptParavisor: true }
    const claims = ofTd(evidence, { collateral, trustAnchors, now, policy, reportData: 'any' })
    expectCatalogued(claims)
    expect(oneValueOf(claims, 'attester_tcb_status')).toBe('UpToDate')
    // Nothing was expected of the report data, so that they are bound to nothing.
    expect(oneValueOf(claims, 'tdx.report_data_bound')).toBe(false)
    expect(ofQuoteAlone(quote, { collateral, trustAnchors, now, policy, reportData: 'any' })).toEqual(claims)
  })

  const enclaves = recordedCases().filter(({ name, expected }) => /sgx/.test(name) && expected['status'] !== undefined)

  it.each(enclaves.map((one) => [one.name, one] as const))('%s', (_name, { quote, collateral, trustAnchors, now }) => {
    const policy = { acceptDebug: true, tcbStatuses: acceptableTcbStatuses }
    const {
      affirmed,
      claims: trees,
      simulated,
    } = appraiseQuote(quote, {
      ...{ collateral, trustAnchors, now, policy },
      reportData: 'any',
    })
    const appraised = { affirmed, claims: trees, simulated, tdx: null, tpm: null }
    const claims = presentClaims(verifiedClaims(appraised, { tdx: null, tpm: null }, { ...facts, tee: 'sgx' }))
    expectCatalogued(claims)
    expect(oneValueOf(claims, 'x-ms-sgx-mrenclave')).toBe(oneValueOf(claims, 'sgx.body.mr_enclave'))
    expect(oneValueOf(claims, 'x-ms-sgx-is-debuggable')).toBeTypeOf('boolean')
    expect(oneValueOf(claims, 'x-ms-attestation-type')).toBe('sgx')
  })

  it('a TD with the event log of a machine of a cloud', () => {
    const log = vector('tdx/eventlogs/cos113-ccel.bin')
    const events = eventsOf(claimsOfTdLog(log), 'tdx.events')
    expect(new Set(events.map(({ PcrIndex }) => PcrIndex))).toEqual(new Set([1, 2, 3]))
    const isSecureBoot = ({ ProcessedData }: ShownEvent) =>
      ProcessedData !== undefined && 'UnicodeName' in ProcessedData && ProcessedData.UnicodeName === 'SecureBoot'
    expect(events.filter(isSecureBoot)).toMatchObject([
      {
        EventTypeString: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
        DigestBound: true,
        ProcessedData: { VariableGuid: globalGuid.toUpperCase() },
      },
    ])
    expect(events.every(({ EventTypeString }) => EventTypeString !== 'EV_NO_ACTION')).toBe(true)
    expect(events.every(({ Digests }) => Object.keys(Digests).join() === 'SHA384')).toBe(true)
  })
})

function ofTd(evidence: TdxEvidence, inputs: TdxInputs): readonly Claim[] {
  const tdx = appraiseTdx(evidence, inputs)
  expect(tdx.findings.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  const { affirmed, findings, claims, simulated } = tdx
  const appraisal: GuestAppraisal = { ...alone, affirmed, findings, claims, simulated, tee: 'tdx', tdx }
  return presentClaims(verifiedClaims(appraisal, { tdx: evidence, tpm: null }, facts))
}

/** Of the quote of a TD that is appraised alone, as verifiers do that are sent nothing else. */
function ofQuoteAlone(quote: Uint8Array, inputs: TdxInputs): readonly Claim[] {
  const appraisal = appraiseQuote(quote, inputs)
  expect(appraisal.affirmed).toBe(true)
  return presentClaims(verifiedClaims({ ...appraisal, ...alone }, { tdx: null, tpm: null }, facts))
}

/** Of a TD in the simulator, whose registers are those to which a log leads, unless others are given. */
function claimsOfTdLog(log: Uint8Array, change: Partial<Pick<TdxInputs, 'eventLog'>> & { rtmr?: Rtmrs } = {}) {
  const [zero, one, two, three] = replayCcEventLog(parseCcEventLog(log)).registers.map(({ value }) => value)
  if (!zero || !one || !two || !three) return expect.unreachable()
  const { rtmr = [zero, one, two, three], ...inputs } = change
  const reportData = new Uint8Array(64).fill(9)
  const quote = sim.quote({ reportData, rtmr })
  return ofTd(
    { quote, ccEventLog: log, simulated: true },
    {
      collateral: sim.collateral(),
      trustAnchors: [sim.pki.anchor],
      simulator: true,
      now: testNow,
      reportData,
      ...inputs,
    },
  )
}

describe('tdx.events (POL-432)', () => {
  it('has the events of registers to which the log leads', () => {
    const claims = claimsOfTdLog(encodeCcEventLog(6, 40))
    expectCatalogued(claims)
    expect(eventsOf(claims, 'tdx.events').map(({ PcrIndex }) => PcrIndex)).toEqual([1, 2, 3, 1, 2, 3])
    expect(valuesOf(claims, 'tdx.rtmr_replayed')).toEqual([0n, 1n, 2n, 3n])
  })

  it('is not there for a log that leads elsewhere, where a policy takes it nevertheless', () => {
    const other = new Uint8Array(48).fill(1)
    const rtmr: Rtmrs = [other, other, other, other]
    const claims = claimsOfTdLog(encodeCcEventLog(6, 40), { rtmr, eventLog: { requirement: 'optional' } })
    expect(oneValueOf(claims, 'tdx.eventlog_verified')).toBe(false)
    expect(typesOf(claims)).not.toContain('tdx.events')
  })

  it('is there with 8 192 events, and not with one more', () => {
    expect(eventsOf(claimsOfTdLog(encodeCcEventLog(8192, 1)), 'tdx.events')).toHaveLength(8192)
    expect(typesOf(claimsOfTdLog(encodeCcEventLog(8193, 1)))).not.toContain('tdx.events')
  })
})

describe('claims of a TD beside a TPM', () => {
  const guest = new SimulatedGuest()
  const seed = new Uint8Array(48).fill(7)
  const evidence = guest.both(seed)
  const trees = verifiedClaims(appraiseGuest(evidence, guest.inputs(seed)), evidence, facts)

  it('are those of both, and of the catalogue', () => {
    const claims = presentClaims(trees)
    expectCatalogued(claims)
    expect(valuesOf(claims, 'evidence.kinds')).toEqual(['tdx', 'tpm', 'ima'])
    expect(oneValueOf(claims, 'attestation.simulated')).toBe(true)
    expect(oneValueOf(claims, 'tdx.report_data_bound')).toBe(true)
    expect(oneValueOf(claims, 'tdx.eventlog_present')).toBe(false)
    expect(oneValueOf(claims, 'report_data')).toBe(oneValueOf(claims, 'tdx.quote.body.report_data'))
    expect(oneValueOf(claims, 'init_data')).toBe(oneValueOf(claims, 'tdx.quote.body.mr_config_id'))
    expect(oneValueOf(claims, 'dbgstat')).toBe('disabled')
  })

  it('go from thread to thread', () => {
    expect(presentClaims(structuredClone(trees))).toEqual(presentClaims(trees))
  })
})

it('each name of the catalogue is made by a verifier, or says why it is not (POL-430)', () => {
  const silent = claimCatalogue.filter(({ notMade }) => notMade !== null).map(({ name }) => name)
  expect(silent.every((name) => name.startsWith('gpu.') || name === 'tdx.init_data_bound')).toBe(true)
})
