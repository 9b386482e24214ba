import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { appraiseQuote, type QuoteCheckId, quoteChecks } from '../../src/verifier/index.ts'

/** One changed bit in every field, signed again where the check lies behind a signature, and what it turns red. */

const now = Date.UTC(2026, 5, 1, 12)
const sim = createSimulator({ clock: { now: () => now } })
const reportData = new Uint8Array(64).fill(7)

function failedOf(quote: Uint8Array, collateral: Collateral): string[] {
  const inputs = { collateral, now, trustAnchors: [sim.pki.anchor], reportData, simulator: true }
  const { findings } = appraiseQuote(quote, inputs)
  return findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
}

const order = Object.keys(quoteChecks)
const inOrder = (ids: readonly QuoteCheckId[]) => [...ids].sort((a, b) => order.indexOf(a) - order.indexOf(b))
const flip = (bytes: Uint8Array, at: number, mask = 1) =>
  bytes.map((byte, place) => (place === at ? byte ^ mask : byte))

const header = 48
const descriptor = 6
const body = header + descriptor
/** Of the extended body, in version 5. */
const bodyFields = {
  teeTcbSvn: 15,
  mrSeam: 16,
  mrSignerSeam: 64,
  seamAttributes: 112,
  tdAttributes: 123,
  xfam: 128,
  mrTd: 136,
  mrConfigId: 184,
  mrOwner: 232,
  mrOwnerConfig: 280,
  rtmr0: 328,
  rtmr1: 376,
  rtmr2: 424,
  rtmr3: 472,
  teeTcbSvn2: 599,
  mrServiceTd: 600,
  vmId: 648,
  tdId: 649,
  devInfo: 681,
  initServTdHash: 729,
  initServTdAttr: 777,
  initCpuSvn: 785,
  initTeeTcbSvn: 801,
  initTeeFmspc: 817,
  currServTdHash: 829,
  currServTdAttr: 877,
} as const
const signature = body + 885 + 4
const qeReport = signature + 64 + 64 + 2 + 4

/** What more turns red than the signature over the field. */
const alsoFailed: Readonly<Partial<Record<string, readonly QuoteCheckId[]>>> = {
  mrSignerSeam: ['tdx.module.signer'],
  seamAttributes: ['tdx.module.attributes'],
  miscSelect: ['tdx.qe.miscSelect'],
  attributes: ['tdx.qe.attributes'],
  mrSigner: ['tdx.qe.mrSigner'],
  isvProdId: ['tdx.qe.product'],
  reportData: ['tdx.qe.binding'],
  'reportData tail': ['tdx.qe.reportData'],
}

describe('a field of the quote', () => {
  const quote = sim.quote({ version: 5, bodyType: 4, reportData })
  const collateral = sim.collateral()

  it('as it was turns nothing red', () => expect(failedOf(quote, collateral)).toEqual([]))

  it.each(Object.entries(bodyFields))('body.%s', (field, at) => {
    const expected = inOrder(['tdx.quote.signature', ...(alsoFailed[field] ?? [])])
    expect(failedOf(flip(quote, body + at), collateral)).toEqual(expected)
  })

  it('body.reportData', () => {
    expect(failedOf(flip(quote, body + 520), collateral)).toEqual(['tdx.quote.signature', 'tdx.reportData'])
  })

  it.each([
    ['version', 1, ['tdx.quote.version']],
    ['attestationKeyType', 2, ['tdx.quote.keyType']],
    ['teeType', 4, ['tdx.quote.teeType']],
    ['reserved', 8, ['tdx.quote.signature']],
    ['qeVendorId', 12, ['tdx.quote.vendor']],
    ['userData', 28, ['tdx.quote.signature']],
    ['descriptor.type', header, ['tdx.quote.body']],
    ['descriptor.size', header + 2, ['tdx.quote.body']],
    ['signatureData.size', body + 885, ['tdx.quote.lengths']],
    ['signature', signature, ['tdx.quote.signature']],
    ['attestationKey', signature + 64, ['tdx.qe.binding', 'tdx.quote.key']],
    ['qeCertification.type', signature + 128, ['tdx.quote.certification']],
    ['qeCertification.size', signature + 130, ['tdx.quote.lengths']],
    ['qe.signature', qeReport + 384, ['tdx.qe.signature']],
    ['qe.authData.size', qeReport + 448, ['tdx.quote.certification']],
    ['qe.authData', qeReport + 450, ['tdx.qe.binding']],
    ['certification.type', qeReport + 482, ['tdx.pck.present']],
    ['certification.size', qeReport + 484, ['tdx.quote.lengths']],
    ['certification.data', qeReport + 488, ['tdx.pck.chainForm']],
  ] as const)('%s', (_field, at, expected) => {
    expect(failedOf(flip(quote, at), collateral)).toEqual(expected)
  })

  it.each([
    ['cpuSvn', 0],
    ['miscSelect', 16],
    ['reserved1', 20],
    ['isvExtProdId', 32],
    ['attributes', 48],
    ['mrEnclave', 64],
    ['reserved2', 96],
    ['mrSigner', 128],
    ['reserved3', 160],
    ['configId', 192],
    ['isvProdId', 256],
    ['isvSvn', 258],
    ['configSvn', 260],
    ['reserved4', 262],
    ['isvFamilyId', 304],
    ['reportData', 320],
    ['reportData tail', 352],
  ] as const)('qe.report.%s', (field, at) => {
    const expected = inOrder(['tdx.qe.signature', ...(alsoFailed[field] ?? [])])
    expect(failedOf(flip(quote, qeReport + at), collateral)).toEqual(expected)
  })
})

type Json = Record<string, unknown>
const without = (name: string) => (document: Json) =>
  Object.fromEntries(Object.entries(document).filter(([key]) => key !== name))
const withValue = (name: string, value: unknown) => (document: Json) => ({ ...document, [name]: value })

function withLevel(edit: (level: Json) => Json) {
  return (document: Json) => {
    const [first, ...others] = document['tcbLevels'] as Json[]
    return { ...document, tcbLevels: [edit(first ?? {}), ...others] }
  }
}

function withTcb(edit: (tcb: Json) => Json) {
  return withLevel((level) => ({ ...level, tcb: edit(level['tcb'] as Json) }))
}

function withModule(edit: (module: Json) => Json) {
  return (document: Json) => {
    const identities = (document['tdxModuleIdentities'] as Json[]).map((identity) => edit(identity))
    return { ...document, tdxModuleIdentities: identities }
  }
}

const components = (svns: readonly unknown[]) => svns.map((svn) => ({ svn }))
const malformed = ['tdx.tcbInfo.wellFormed'] as const

describe('a field of signed TCB info', () => {
  const quote = sim.quote({ reportData })

  it.each<readonly [string, (document: Json) => object, readonly QuoteCheckId[]]>([
    ['an unknown member', withValue('more', 1), []],
    ['id absent', without('id'), malformed],
    ['id', withValue('id', 'SGX'), ['tdx.tcbInfo.kind', 'tdx.tcbInfo.wellFormed']],
    ['version', withValue('version', 4), malformed],
    ['issueDate', withValue('issueDate', '2027-01-01T00:00:00Z'), ['tdx.tcbInfo.validity']],
    ['issueDate, no date', withValue('issueDate', 'never'), malformed],
    ['nextUpdate', withValue('nextUpdate', '2026-01-01T00:00:00Z'), ['tdx.tcbInfo.validity']],
    ['nextUpdate absent', without('nextUpdate'), malformed],
    ['nextUpdate, 30 February', withValue('nextUpdate', '2027-02-30T00:00:00Z'), malformed],
    ['fmspc', withValue('fmspc', '000000000000'), ['tdx.tcbInfo.fmspc']],
    ['fmspc, too short', withValue('fmspc', '00'), malformed],
    ['pceId', withValue('pceId', 'ffff'), ['tdx.tcbInfo.pceId']],
    ['tcbType', withValue('tcbType', 1), malformed],
    ['tcbEvaluationDataNumber', withValue('tcbEvaluationDataNumber', '17'), malformed],
    ['tdxModule absent', without('tdxModule'), malformed],
    [
      'tdxModuleIdentities absent',
      without('tdxModuleIdentities'),
      ['tdx.module.known', 'tdx.module.level', 'tdx.tcb.current'],
    ],
    ['module mrsigner', withModule(withValue('mrsigner', '11'.repeat(48))), ['tdx.module.signer']],
    ['module attributes', withModule(withValue('attributes', '01'.repeat(8))), ['tdx.module.attributes']],
    ['tcbLevels', withValue('tcbLevels', []), malformed],
    ['status', withLevel(withValue('tcbStatus', 'Fine')), malformed],
    ['status', withLevel(withValue('tcbStatus', 'OutOfDate')), ['tdx.policy.tcbStatus']],
    ['tcbDate', withLevel(withValue('tcbDate', 0)), malformed],
    ['advisoryIDs', withLevel(withValue('advisoryIDs', 'none')), malformed],
    ['pcesvn', withTcb(withValue('pcesvn', 65_536)), malformed],
    ['15 components', withTcb(withValue('sgxtcbcomponents', components(Array(15).fill(0)))), malformed],
    ['17 components', withTcb(withValue('tdxtcbcomponents', components(Array(17).fill(0)))), malformed],
    ['a component as text', withTcb(withValue('sgxtcbcomponents', components(Array(16).fill('0')))), malformed],
    ['a component of 256', withTcb(withValue('sgxtcbcomponents', components(Array(16).fill(256)))), malformed],
  ])('%s', (field, edit, expected) => {
    const { tcbInfo, tcbInfoSignature } = sim.collateral({
      editTcbInfo: (document) => edit(document as unknown as Json),
    })
    const failed = failedOf(quote, { ...sim.collateral(), tcbInfo, tcbInfoSignature })
    // TCB info for enclaves has other components; either check says what is wrong.
    if (field === 'id') expect(expected).toEqual(expect.arrayContaining(failed))
    else expect(failed).toEqual(expected)
    if (expected.length > 0) expect(failed).not.toEqual([])
  })
})

describe('a field of a signed QE identity', () => {
  const quote = sim.quote({ reportData })
  const bad = ['tdx.qeIdentity.wellFormed'] as const
  const none = components([]) as readonly unknown[]

  it.each<readonly [string, (document: Json) => object, readonly QuoteCheckId[]]>([
    ['an unknown member', withValue('more', 1), []],
    ['id', withValue('id', 'QE'), ['tdx.qeIdentity.kind']],
    ['id', withValue('id', 'PCE'), bad],
    ['version', withValue('version', 1), bad],
    ['issueDate', withValue('issueDate', '2027-01-01T00:00:00Z'), ['tdx.qeIdentity.validity']],
    ['nextUpdate', withValue('nextUpdate', '2026-01-01T00:00:00Z'), ['tdx.qeIdentity.validity']],
    ['nextUpdate absent', without('nextUpdate'), bad],
    ['tcbEvaluationDataNumber', withValue('tcbEvaluationDataNumber', 1.5), bad],
    ['miscselect', withValue('miscselect', '00000001'), ['tdx.qe.miscSelect']],
    ['miscselectMask', withValue('miscselectMask', 'FF'), bad],
    ['attributes', withValue('attributes', '13'.padEnd(32, '0')), ['tdx.qe.attributes']],
    ['attributesMask absent', without('attributesMask'), bad],
    ['mrsigner', withValue('mrsigner', '11'.repeat(32)), ['tdx.qe.mrSigner']],
    ['isvprodid', withValue('isvprodid', 9), ['tdx.qe.product']],
    ['isvprodid', withValue('isvprodid', '2'), bad],
    ['tcbLevels', withValue('tcbLevels', none), bad],
    ['isvsvn', withTcb(withValue('isvsvn', -1)), bad],
    ['status', withLevel(withValue('tcbStatus', 'SWHardeningNeeded')), bad],
    ['status', withLevel(withValue('tcbStatus', 'Revoked')), ['tdx.policy.tcbStatus']],
  ])('%s', (_field, edit, expected) => {
    const editQeIdentity = (document: object) => edit(document as Json)
    const { qeIdentity, qeIdentitySignature } = sim.collateral({ editQeIdentity })
    expect(failedOf(quote, { ...sim.collateral(), qeIdentity, qeIdentitySignature })).toEqual(expected)
  })
})
