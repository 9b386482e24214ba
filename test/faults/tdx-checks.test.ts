import { createHash } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { pemChain, signRaw } from '../../mocks/tdx/collateral.ts'
import { createPki } from '../../mocks/tdx/pki.ts'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { type QuoteOptions, simulateQuoteParts } from '../../mocks/tdx/quotes.ts'
import { scenarios, stage } from '../../mocks/tdx/scenarios.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { concatBytes } from '../../src/base/bytes.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { encodeAaelHeader, encodeAaelRecord } from '../../src/evidence/tdx/aael.ts'
import { encodeQuote, type QuoteParts } from '../../src/evidence/tdx/quote.ts'
import { appraiseTdx, type TdxAppraisal, type TdxCheckId, type TdxInputs, tdxChecks } from '../../src/verifier/index.ts'

/** Every check of a TD, turned red by one fault; what else turns red with it is part of the table. */

const now = Date.UTC(2026, 5, 1, 12)
const sim = createSimulator({ clock: { now: () => now } })
const other = createPki(now)
const reportData = new Uint8Array(64).fill(7)
const year = 366 * 86_400_000

const seen = { passed: new Set<string>(), failed: new Set<string>() }

interface Fault {
  readonly quote?: Omit<QuoteOptions, 'reportData'>
  /** Changes the parts; nothing is signed again. */
  readonly parts?: (parts: QuoteParts) => QuoteParts
  readonly bytes?: (quote: Uint8Array) => Uint8Array
  readonly collateral?: (collateral: Collateral) => Partial<Collateral> | null
  readonly inputs?: Partial<TdxInputs>
  readonly log?: Uint8Array | null
}

const record = encodeAaelRecord(3, { domain: 'tests', operation: 'boot', content: 'v1' })
const end = new Uint8Array(8).fill(0xff)
const log = concatBytes(encodeAaelHeader(), record.entry, end)
const zeros = new Uint8Array(48)
const extended = new Uint8Array(createHash('sha384').update(zeros).update(record.digest).digest())
const rtmr = [zeros, zeros, zeros, extended] as const

function appraise(fault: Fault): TdxAppraisal {
  const parts = simulateQuoteParts(sim.pki, { reportData, rtmr, ...fault.quote })
  const quote = encodeQuote(fault.parts?.(parts) ?? parts)
  const healthy = sim.collateral()
  const change = fault.collateral?.(healthy)
  const collateral = change === null ? null : { ...healthy, ...change }
  const inputs = { now, trustAnchors: [sim.pki.anchor], reportData, collateral, simulator: true, ...fault.inputs }
  const ccEventLog = fault.log === undefined ? log : fault.log
  const appraisal = appraiseTdx({ quote: fault.bytes?.(quote) ?? quote, ccEventLog, simulated: true }, inputs)
  for (const { id, outcome } of appraisal.findings) {
    if (outcome === 'passed' || outcome === 'failed') seen[outcome].add(id)
  }
  return appraisal
}

const failedOf = ({ findings }: TdxAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

function setAt(at: number, ...values: readonly number[]) {
  return (bytes: Uint8Array) => {
    const changed = bytes.slice()
    changed.set(values, at)
    return changed
  }
}

const flip = (bytes: Uint8Array, at = 0) => bytes.map((byte, place) => (place === at ? byte ^ 1 : byte))
const chainOf = (pem: string) => (parts: QuoteParts) => ({
  ...parts,
  certification: { type: 5 as const, data: new TextEncoder().encode(pem) },
})
const { pki } = sim
const { platformPck, platformCa, root, tcbSigner } = pki
const edited = (edit: (document: object) => object) => () => {
  const { tcbInfo, tcbInfoSignature } = sim.collateral({ editTcbInfo: edit })
  return { tcbInfo, tcbInfoSignature }
}
const editedIdentity = (edit: (document: object) => object) => () => {
  const { qeIdentity, qeIdentitySignature } = sim.collateral({ editQeIdentity: edit })
  return { qeIdentity, qeIdentitySignature }
}
/** A text that the right signer signed. */
const signedText = (text: string) => Buffer.from(signRaw(tcbSigner.key, new TextEncoder().encode(text))).toString('hex')

const faults: Readonly<Record<string, readonly [Fault, ...TdxCheckId[]]>> = {
  'more than 65536 bytes': [
    { bytes: (quote) => concatBytes(quote, new Uint8Array(65_537 - quote.length)) },
    'tdx.quote.size',
  ],
  'header.version': [{ bytes: setAt(0, 6) }, 'tdx.quote.version'],
  'header.attestationKeyType': [{ bytes: setAt(2, 3) }, 'tdx.quote.keyType'],
  'header.teeType': [{ bytes: setAt(4, 0x82) }, 'tdx.quote.teeType'],
  'header.qeVendorId': [{ bytes: setAt(12, 0) }, 'tdx.quote.vendor'],
  'descriptor.type': [{ quote: { version: 5, bodyType: 3 }, bytes: setAt(48, 5) }, 'tdx.quote.body'],
  'descriptor.size': [{ quote: { version: 5, bodyType: 3 }, bytes: setAt(50, 0x49) }, 'tdx.quote.body'],
  'signatureData length': [{ bytes: (quote) => flip(quote, 632) }, 'tdx.quote.lengths'],
  'qeCertification.type': [{ bytes: setAt(764, 5) }, 'tdx.quote.certification'],
  'certification.type': [{ bytes: setAt(1252, 7) }, 'tdx.quote.certification'],
  'a byte behind the quote': [{ bytes: (quote) => concatBytes(quote, Uint8Array.of(1)) }, 'tdx.quote.padding'],
  'header.userData': [{ bytes: (quote) => flip(quote, 28) }, 'tdx.quote.signature'],
  'body.rtmr': [{ bytes: (quote) => flip(quote, 48 + 328) }, 'tdx.quote.signature'],
  'no chain in the quote and none given': [
    { parts: (parts) => ({ ...parts, certification: { type: 3, data: new Uint8Array(404) } }) },
    'tdx.pck.present',
  ],
  'a leaf in the quote that is not that of the chain given': [
    {
      parts: (parts) => ({ ...parts, certification: { type: 4, data: pki.processorPck.certificate } }),
      collateral: () => ({ pckCertificateChain: pemChain(platformPck, platformCa, root) }),
    },
    'tdx.pck.present',
  ],
  'two certificates': [{ parts: chainOf(pemChain(platformPck, platformCa)) }, 'tdx.pck.chainForm'],
  'four certificates': [{ parts: chainOf(pemChain(platformPck, platformCa, root, root)) }, 'tdx.pck.chainForm'],
  'text between certificates': [
    { parts: chainOf(`${pemChain(platformPck)}x\n${pemChain(platformCa, root)}`) },
    'tdx.pck.chainForm',
  ],
  'a certificate that is cut': [
    { parts: chainOf(encodePem(platformPck.certificate.subarray(0, -1), 'CERTIFICATE') + pemChain(platformCa, root)) },
    'tdx.pck.certificates',
  ],
  'another root': [
    { inputs: { trustAnchors: [other.anchor] } },
    'tdx.pck.anchor',
    'tdx.tcbInfo.chain',
    'tdx.qeIdentity.chain',
  ],
  'no anchor at all': [{ inputs: { trustAnchors: [] } }, 'tdx.pck.anchor', 'tdx.tcbInfo.chain', 'tdx.qeIdentity.chain'],
  'a leaf of the other authority': [
    { parts: chainOf(pemChain(pki.processorPck, platformCa, root)) },
    'tdx.pck.signatures',
  ],
  'certificates in reverse': [
    { parts: chainOf(pemChain(root, platformCa, platformPck)) },
    'tdx.pck.anchor',
    'tdx.pck.signatures',
    'tdx.pck.names',
    'tdx.pck.roles',
    'tdx.pck.extension',
  ],
  'the TCB signer as platform': [
    { parts: chainOf(pemChain(tcbSigner, platformCa, root)) },
    'tdx.pck.signatures',
    'tdx.pck.names',
    'tdx.pck.extension',
  ],
  'after the end of the certificates': [
    { inputs: { now: now + 21 * year } },
    'tdx.pck.validity',
    'tdx.rootCrl.validity',
    'tdx.pckCrl.validity',
    'tdx.pckCrl.chainValidity',
    'tdx.qeIdentity.chainValidity',
    'tdx.qeIdentity.validity',
    'tdx.tcbInfo.chainValidity',
    'tdx.tcbInfo.validity',
  ],
  'qe.signature': [
    { parts: (parts) => ({ ...parts, qe: { ...parts.qe, signature: flip(parts.qe.signature) } }) },
    'tdx.qe.signature',
  ],
  'qe.authData': [
    { parts: (parts) => ({ ...parts, qe: { ...parts.qe, authData: new Uint8Array(31) } }) },
    'tdx.qe.binding',
  ],
  'qe.report.reportData': [
    { quote: { qeReport: { reportData: new Uint8Array(64).fill(1) } } },
    'tdx.qe.binding',
    'tdx.qe.reportData',
  ],
  'an attestation key of zeros': [
    { parts: (parts) => ({ ...parts, attestationKey: new Uint8Array(64) }) },
    'tdx.qe.binding',
    'tdx.quote.key',
  ],
  'an attestation key off the curve': [
    { parts: (parts) => ({ ...parts, attestationKey: flip(parts.attestationKey, 63) }) },
    'tdx.qe.binding',
    'tdx.quote.key',
  ],
  'quote signature': [
    { parts: (parts) => ({ ...parts, signature: flip(parts.signature, 63) }) },
    'tdx.quote.signature',
  ],
  'no collateral': [{ collateral: () => null }, 'tdx.collateral.present'],
  'root list garbage': [{ collateral: () => ({ rootCaCrl: Uint8Array.of(0x30, 0) }) }, 'tdx.rootCrl.authentic'],
  'root list of another root': [
    {
      collateral: () => ({
        rootCaCrl: createSimulator({ clock: { now: () => now }, pki: other }).collateral().rootCaCrl,
      }),
    },
    'tdx.rootCrl.authentic',
  ],
  'PCK list empty': [{ collateral: () => ({ pckCrl: new Uint8Array() }) }, 'tdx.pckCrl.authentic'],
  'unsigned PCK list that names the leaf': [
    { collateral: () => ({ pckCrl: sim.collateral({ revoked: ['pck'], listKey: other.root.key }).pckCrl }) },
    'tdx.pckCrl.authentic',
  ],
  'chain of the PCK list of another root': [
    { collateral: () => ({ pckCrlIssuerChain: pemChain(other.platformCa, other.root) }) },
    'tdx.pckCrl.chain',
  ],
  'chain of the PCK list of another authority': [
    { collateral: () => ({ pckCrlIssuerChain: pemChain(pki.processorCa, root) }) },
    'tdx.pckCrl.chain',
  ],
  'TCB info not JSON': [
    { collateral: () => ({ tcbInfo: '{', tcbInfoSignature: signedText('{') }) },
    'tdx.tcbInfo.wellFormed',
  ],
  'TCB info without levels': [
    { collateral: edited((document) => ({ ...document, tcbLevels: [] })) },
    'tdx.tcbInfo.wellFormed',
  ],
  'TCB info serialised again': [
    { collateral: ({ tcbInfo }) => ({ tcbInfo: JSON.stringify(JSON.parse(tcbInfo), null, 1) }) },
    'tdx.tcbInfo.signature',
  ],
  'TCB info signed by another root': [
    { collateral: () => ({ tcbInfoIssuerChain: pemChain(other.tcbSigner, other.root) }) },
    'tdx.tcbInfo.chain',
  ],
  'QE identity empty': [
    { collateral: () => ({ qeIdentity: '{}', qeIdentitySignature: signedText('{}') }) },
    'tdx.qeIdentity.wellFormed',
  ],
  'QE identity of version 3': [
    { collateral: editedIdentity((document) => ({ ...document, version: 3 })) },
    'tdx.qeIdentity.wellFormed',
  ],
  'QE identity of QVE': [
    { collateral: editedIdentity((document) => ({ ...document, id: 'QVE' })) },
    'tdx.qeIdentity.kind',
  ],
  'QE identity with bits outside of the mask': [
    { collateral: editedIdentity((document) => ({ ...document, miscselect: '01000000', miscselectMask: 'FEFFFFFF' })) },
    'tdx.qe.miscSelect',
  ],
  'QE identity signed by a PCK': [
    { collateral: () => ({ qeIdentityIssuerChain: pemChain(platformPck, platformCa) }) },
    'tdx.qeIdentity.chain',
  ],
  'simulated without simulator mode': [{ inputs: { simulator: false } }, 'tdx.hardware'],
  'report data of another request': [{ inputs: { reportData: new Uint8Array(64) } }, 'tdx.reportData'],
  'a debug TD': [{ quote: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }, 'tdx.policy.debug'],
  'a paravisor': [
    { quote: { tdAttributes: new Uint8Array(8), rtmr: [zeros, zeros, zeros, zeros] }, log: null },
    'tdx.policy.paravisor',
  ],
  'an outdated platform': [{ quote: { teeTcbSvn: teeTcbSvn({ platform: 'OutOfDate' }) } }, 'tdx.policy.tcbStatus'],
  'an old evaluation number': [{ inputs: { policy: { minTcbEvalNum: 18 } } }, 'tdx.policy.evaluationNumber'],
  'another measurement': [{ inputs: { references: { mrTd: [zeros] } } }, 'tdx.references'],
  'no accepted measurement': [{ inputs: { references: { rtmr3: [] } } }, 'tdx.references'],
  'a measurement that a TD does not have': [{ inputs: { references: { mrEnclave: [zeros] } } }, 'tdx.references'],
  'no event log although it is required': [
    { log: null, inputs: { eventLog: { requirement: 'required' } } },
    'tdx.eventlog.present',
  ],
  'an event log that is cut': [{ log: log.subarray(0, 80) }, 'tdx.eventlog.wellFormed'],
  'an event log without an event': [
    {
      log: concatBytes(encodeAaelHeader(), end),
      inputs: { eventLog: { requirement: 'ifPresent', registers: { 3: 'enforce' } } },
    },
    'tdx.eventlog.replay',
  ],
  'an event log with another event': [
    {
      log: concatBytes(
        encodeAaelHeader(),
        encodeAaelRecord(3, { domain: 'tests', operation: 'boot', content: 'v2' }).entry,
        end,
      ),
    },
    'tdx.eventlog.replay',
  ],
  'an event without a digest': [
    {
      log: concatBytes(
        encodeAaelHeader(),
        record.entry,
        Uint8Array.of(1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        end,
      ),
    },
    'tdx.eventlog.digests',
  ],
  'an enclave': [
    { quote: { bodyType: 1, version: 4 }, collateral: () => sim.collateral({ tee: 'sgx' }), log: null },
    'tdx.evidence.kind',
  ],
}

describe('a simulated TD', () => {
  it('is affirmed: every check passes or is waived by a value of the inputs', () => {
    const appraisal = appraise({})
    expect(failedOf(appraisal)).toEqual([])
    expect(appraisal).toMatchObject({ affirmed: true, verified: true, class: 'verified', simulated: true })
    const waived = appraisal.findings.filter(({ outcome }) => outcome === 'waived').map(({ id }) => id)
    expect(waived).toEqual(['tdx.hardware', 'tdx.references'])
    expect(appraisal.findings.map(({ id }) => id)).toEqual(Object.keys(tdxChecks))
  })

  it.each(Object.entries(faults))('%s', (_name, [fault, ...expected]) => {
    const appraisal = appraise(fault)
    const order = Object.keys(tdxChecks)
    expect(failedOf(appraisal)).toEqual([...expected].sort((a, b) => order.indexOf(a) - order.indexOf(b)))
    expect(appraisal).toMatchObject({ affirmed: false, claims: {} })
  })

  it.each(scenarios(now))('scenario $name', (scenario) => {
    const { quote, collateral, expected } = stage(sim, scenario, reportData)
    const inputs = { now, trustAnchors: [pki.anchor], reportData, collateral, simulator: true }
    const appraisal = appraiseTdx({ quote, ccEventLog: null, simulated: true }, inputs)
    for (const { id, outcome } of appraisal.findings)
      if (outcome !== 'unreached') seen[outcome === 'failed' ? 'failed' : 'passed'].add(id)
    expect(appraisal.class).toBe(expected.class)
    expect(appraisal.tcb?.status ?? null).toBe(expected.status)
  })

  it('of real hardware is not simulated', () => {
    const { simulator: _, ...anchor } = pki.anchor
    const quote = sim.quote({ reportData })
    const inputs = { now, trustAnchors: [anchor], reportData, collateral: sim.collateral() }
    const appraisal = appraiseTdx(
      { quote, ccEventLog: null, simulated: false },
      { ...inputs, references: { mrConfigId: [zeros] } },
    )
    for (const { id, outcome } of appraisal.findings) if (outcome === 'passed') seen.passed.add(id)
    expect(appraisal).toMatchObject({ affirmed: true, simulated: false })
  })
})

afterAll(() => {
  const ids = Object.keys(tdxChecks)
  expect(
    ids.filter((id) => !seen.failed.has(id)),
    'checks that no fault turns red',
  ).toEqual([])
  expect(
    ids.filter((id) => !seen.passed.has(id)),
    'checks that never pass',
  ).toEqual([])
})
