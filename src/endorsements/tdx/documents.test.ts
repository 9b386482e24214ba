import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { parseQeIdentity } from './qe-identity.ts'
import { parseTcbInfo, sortTcbLevels } from './tcb-info.ts'
import { sortEnclaveTcbLevels } from './tcb-level.ts'

const components = (...first: number[]) => Array.from({ length: 16 }, (_, at) => ({ svn: first[at] ?? 0 }))

function tdxLevel(svn: number, extra: object = {}): JsonObject {
  return {
    tcb: { sgxtcbcomponents: components(svn, 255), pcesvn: 65_535, tdxtcbcomponents: components(5, 0, svn) },
    tcbDate: '2024-03-13T00:00:00Z',
    tcbStatus: 'UpToDate',
    ...extra,
  }
}
const enclaveLevel = (isvsvn: number, tcbStatus = 'UpToDate') => ({
  tcb: { isvsvn },
  tcbDate: '2024-03-13T00:00:00Z',
  tcbStatus,
})
const module_ = { mrsigner: 'Ab'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) }

const tdxInfo = (): JsonObject => ({
  id: 'TDX',
  version: 3,
  issueDate: '2025-06-19T10:16:03Z',
  nextUpdate: '2025-07-19T10:16:03Z',
  fmspc: 'B0C06f000000',
  pceId: '00aB',
  tcbType: 0,
  tcbEvaluationDataNumber: 17,
  tdxModule: module_,
  tdxModuleIdentities: [
    { id: 'TDX_03', ...module_, tcbLevels: [enclaveLevel(255), enclaveLevel(0, 'OutOfDate')] },
    { id: 'TDX_0B', ...module_, tcbLevels: [enclaveLevel(3)] },
  ],
  tcbLevels: [tdxLevel(3, { advisoryIDs: ['INTEL-SA-1', 'INTEL-SA-2'] }), tdxLevel(2, { tcbStatus: 'OutOfDate' })],
})

const flatComponents = () =>
  Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`sgxtcbcomp${String(at + 1).padStart(2, '0')}svn`, at]))
const sgxInfoV2 = (): JsonObject => {
  const { id: _id, tdxModule: _module, tdxModuleIdentities: _identities, ...rest } = tdxInfo()
  const level = { tcb: { ...flatComponents(), pcesvn: 7 }, tcbDate: '2019-05-15T00:00:00Z', tcbStatus: 'Revoked' }
  return { ...rest, version: 2, tcbLevels: [level] }
}

const identity = (): JsonObject => ({
  id: 'TD_QE',
  version: 2,
  issueDate: '2025-06-19T10:32:27Z',
  nextUpdate: '2025-07-19T10:32:27Z',
  tcbEvaluationDataNumber: 17,
  miscselect: '00000000',
  miscselectMask: 'FFFFFFFF',
  attributes: '11000000000000000000000000000000',
  attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
  mrsigner: 'DC'.repeat(32),
  isvprodid: 65_535,
  tcbLevels: [enclaveLevel(4), enclaveLevel(65_535), enclaveLevel(0, 'Revoked')],
})

/** `document` with the value at `path` (names and indices) replaced; undefined: removed. */
function changed(document: JsonObject, path: string, value: unknown): JsonObject {
  const copy: JsonObject = structuredClone(document)
  const names = path.split('.')
  const last = names.pop() ?? ''
  const place = names.reduce<JsonValue>((at, name) => (at as JsonObject)[name] ?? null, copy) as JsonObject
  if (value === undefined) delete place[last]
  else place[last] = value as JsonValue
  return copy
}

function outcome(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text)
    return 'parsed'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}
const infoOutcome = (document: unknown) => outcome(parseTcbInfo, JSON.stringify(document))
const identityOutcome = (document: unknown) => outcome(parseQeIdentity, JSON.stringify(document))

describe('TCB info (TDX-162)', () => {
  it('for TDX has what the document says', () => {
    const info = parseTcbInfo(JSON.stringify(tdxInfo()))
    expect(info).toMatchObject({
      id: 'TDX',
      version: 3,
      issueDate: Date.UTC(2025, 5, 19, 10, 16, 3),
      nextUpdate: Date.UTC(2025, 6, 19, 10, 16, 3),
      fmspc: 'b0c06f000000',
      pceId: '00ab',
      tcbEvaluationDataNumber: 17,
      tdxModule: { mrSigner: new Uint8Array(48).fill(0xab), attributes: new Uint8Array(8) },
    })
    expect(info.tdxModuleIdentities.map(({ id, levels }) => [id, levels.length])).toEqual([
      ['TDX_03', 2],
      ['TDX_0B', 1],
    ])
    expect(info.levels[0]).toEqual({
      sgxComponents: [3, 255, ...Array(14).fill(0)],
      pceSvn: 65_535,
      tdxComponents: [5, 0, 3, ...Array(13).fill(0)],
      tcbDate: Date.UTC(2024, 2, 13),
      status: 'UpToDate',
      advisoryIds: ['INTEL-SA-1', 'INTEL-SA-2'],
    })
    expect(info.levels[1]?.advisoryIds).toEqual([])
  })

  it('for SGX has neither TDX components nor modules, even where the document names some', () => {
    expect(parseTcbInfo(JSON.stringify({ ...tdxInfo(), id: 'SGX' }))).toMatchObject({
      id: 'SGX',
      tdxModule: null,
      tdxModuleIdentities: [],
      levels: [{ tdxComponents: null }, { tdxComponents: null }],
    })
  })

  it('of version 2 is for SGX and has its components in members of their own', () => {
    expect(parseTcbInfo(JSON.stringify(sgxInfoV2()))).toMatchObject({
      id: 'SGX',
      version: 2,
      levels: [{ sgxComponents: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], pceSvn: 7, status: 'Revoked' }],
    })
  })

  it('may have members that are not known, and white space', () => {
    const text = JSON.stringify({ ...tdxInfo(), new: { member: [1] } }, null, 2)
    expect(outcome(parseTcbInfo, `\n${text}\n`)).toBe('parsed')
  })

  it('may leave out the identities of modules; an empty list is the same', () => {
    expect(infoOutcome(changed(tdxInfo(), 'tdxModuleIdentities', undefined))).toBe('parsed')
    expect(infoOutcome(changed(tdxInfo(), 'tdxModuleIdentities', []))).toBe('parsed')
  })

  const unsorted = (): JsonObject => ({ ...tdxInfo(), tcbLevels: [tdxLevel(1), tdxLevel(200), tdxLevel(30)] })

  it('keeps the order of its levels, and sorts a copy on request (TDX-173)', () => {
    const { levels } = parseTcbInfo(JSON.stringify(unsorted()))
    expect(levels.map(({ sgxComponents }) => sgxComponents[0])).toEqual([1, 200, 30])
    expect(sortTcbLevels(levels).map(({ sgxComponents }) => sgxComponents[0])).toEqual([200, 30, 1])
    expect(levels.map(({ sgxComponents }) => sgxComponents[0])).toEqual([1, 200, 30])
  })

  it('sorts by SGX components, then pcesvn, then TDX components', () => {
    const level = (sgx: number, pcesvn: number, tdx: number) =>
      tdxLevel(0, { tcb: { sgxtcbcomponents: components(sgx), pcesvn, tdxtcbcomponents: components(tdx) } })
    const document = {
      ...tdxInfo(),
      tcbLevels: [level(1, 256, 9), level(1, 2, 255), level(2, 1, 0), level(1, 256, 10)],
    }
    const sorted = sortTcbLevels(parseTcbInfo(JSON.stringify(document)).levels)
    expect(
      sorted.map(({ sgxComponents, pceSvn, tdxComponents }) => [sgxComponents[0], pceSvn, tdxComponents?.[0]]),
    ).toEqual([
      [2, 1, 0],
      [1, 256, 10],
      [1, 256, 9],
      [1, 2, 255],
    ])
  })

  const statuses = ['UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded']
  it.each([...statuses, 'OutOfDate', 'OutOfDateConfigurationNeeded', 'Revoked'])('has the status %s', (status) => {
    expect(parseTcbInfo(JSON.stringify(changed(tdxInfo(), 'tcbLevels.0.tcbStatus', status))).levels[0]?.status).toBe(
      status,
    )
  })
})

describe('TCB info is refused with', () => {
  it.each<[string, unknown[]]>([
    ['id', [undefined, 'tdx', 'SEV', 1, null]],
    ['version', [undefined, 1, 4, '3', 3.5, null]],
    ['issueDate', [undefined, 'never', '', 1, '2025-02-30T00:00:00Z', '2025-06-19T10:16:03+00:00']],
    ['nextUpdate', [undefined, 'never', null, 0, '2025-06-31T00:00:00Z']],
    ['fmspc', [undefined, 'b0c06f00000', 'b0c06f0000000', 'b0c06f00000g', 0, 'İ0c06f000000']],
    ['pceId', [undefined, '000', '00000', 0, '00 0', '0x00']],
    ['tcbType', [undefined, 1, '0', null, -1]],
    ['tcbEvaluationDataNumber', [undefined, '17', 1.5, -1, 2 ** 53, null]],
    ['tdxModule', [undefined, null, [], 'x']],
    ['tdxModule.mrsigner', [undefined, 'ab'.repeat(47), 'ab'.repeat(49), 'zz'.repeat(48)]],
    ['tdxModule.attributes', [undefined, '00'.repeat(7), '00'.repeat(9)]],
    ['tdxModule.attributesMask', [undefined, 'ff'.repeat(7)]],
    ['tdxModuleIdentities', [null, {}, 'x', [1]]],
    ['tdxModuleIdentities.0.id', [undefined, 'TDX_3', 'TDX_003', 'TDX_0G', 'tdx_03', 'TDX_03 ', 'TDX_0B', 'TDX_0b']],
    ['tdxModuleIdentities.0.mrsigner', [undefined, '']],
    ['tdxModuleIdentities.0.tcbLevels', [undefined, [], {}]],
    ['tdxModuleIdentities.0.tcbLevels.0.tcb', [undefined, 3]],
    ['tdxModuleIdentities.0.tcbLevels.0.tcb.isvsvn', [undefined, 256, -1, '3', 1.5, 0]],
    ['tdxModuleIdentities.0.tcbLevels.0.tcbStatus', [undefined, 'SWHardeningNeeded', 'uptodate']],
    ['tdxModuleIdentities.0.tcbLevels.0.tcbDate', [undefined, '2024-03-13']],
    ['tcbLevels', [undefined, [], {}, null]],
    ['tcbLevels.0', [1, null, [], tdxLevel(2)]],
    ['tcbLevels.0.tcb', [undefined, null, []]],
    ['tcbLevels.0.tcb.pcesvn', [undefined, 65_536, -1, '7', 0.5, null]],
    ['tcbLevels.0.tcb.sgxtcbcomponents', [undefined, [], components().slice(1), [...components(), { svn: 0 }], {}]],
    ['tcbLevels.0.tcb.sgxtcbcomponents.15', [1, null, {}, { svn: '1' }, { svn: 256 }, { svn: -1 }, { svn: 1.5 }]],
    ['tcbLevels.0.tcb.tdxtcbcomponents', [undefined, components().slice(1), [...components(), { svn: 0 }]]],
    ['tcbLevels.0.tcbDate', [undefined, '2024-03-13T00:00:00', 0]],
    ['tcbLevels.0.tcbStatus', [undefined, 'upToDate', 'TDRelaunchAdvised', '', 1, 'constructor']],
    ['tcbLevels.0.advisoryIDs', ['INTEL-SA-1', [1], {}, null]],
  ])('another %s', (path, values) => {
    for (const value of values) {
      expect([value, infoOutcome(changed(tdxInfo(), path, value))]).toEqual([value, expect.stringMatching(/^tcbInfo/)])
    }
  })

  it.each<[string, unknown[]]>([
    ['id', ['SGX', 'TDX']],
    ['tcbLevels.0.tcb.sgxtcbcomp01svn', [undefined, 256, '1', -1]],
    ['tcbLevels.0.tcb.sgxtcbcomp16svn', [undefined, 1.5]],
    ['tcbLevels.0.tcb.pcesvn', [undefined, 65_536]],
  ])('another %s in version 2', (path, values) => {
    for (const value of values) expect(infoOutcome(changed(sgxInfoV2(), path, value))).toMatch(/^tcbInfo/)
  })

  it('two equal levels; two that differ in one of the three parts are two', () => {
    const level = (change: object) => {
      const usual = { sgxtcbcomponents: components(1), pcesvn: 1, tdxtcbcomponents: components(1) }
      return tdxLevel(0, { tcb: { ...usual, ...change } })
    }
    const judged = (change: object) => infoOutcome({ ...tdxInfo(), tcbLevels: [level({}), level(change)] })
    expect(judged({})).toContain('two levels')
    expect(judged({ pcesvn: 2 })).toBe('parsed')
    expect(judged({ sgxtcbcomponents: components(1, 1) })).toBe('parsed')
    expect(judged({ tdxtcbcomponents: components(1, 1) })).toBe('parsed')
    // For SGX the TDX components say nothing.
    const sgx = { ...tdxInfo(), id: 'SGX', tcbLevels: [level({}), level({ tdxtcbcomponents: components(9) })] }
    expect(infoOutcome(sgx)).toContain('two levels')
  })

  it('a repeated member at any depth, also one that is written with an escape', () => {
    const text = JSON.stringify(tdxInfo())
    for (const [from, to] of [
      ['"fmspc":', '"fmspc":"000000000000","fmspc":'],
      ['"fmspc":', '"\\u0066mspc":"000000000000","fmspc":'],
      ['"pcesvn":', '"pcesvn":0,"pcesvn":'],
      ['"svn":', '"svn":0,"svn":'],
    ] as const) {
      expect(outcome(parseTcbInfo, text.replace(from, to))).toContain('duplicate member')
    }
  })

  it('members of the prototype instead of its own', () => {
    const text = JSON.stringify(changed(tdxInfo(), 'fmspc', undefined))
    expect(outcome(parseTcbInfo, text.replace('{', '{"__proto__":{"fmspc":"000000000000"},'))).toContain('fmspc')
  })
})

describe('a QE identity (TDX-152)', () => {
  it('has what the document says', () => {
    expect(parseQeIdentity(JSON.stringify(identity()))).toMatchObject({
      id: 'TD_QE',
      issueDate: Date.UTC(2025, 5, 19, 10, 32, 27),
      miscSelectMask: new Uint8Array(4).fill(0xff),
      attributes: Uint8Array.of(0x11, ...new Uint8Array(15)),
      mrSigner: new Uint8Array(32).fill(0xdc),
      isvProdId: 65_535,
      levels: [{ isvSvn: 4 }, { isvSvn: 65_535 }, { isvSvn: 0, status: 'Revoked', advisoryIds: [] }],
    })
  })

  it('keeps the order of its levels, and sorts a copy on request (TDX-159)', () => {
    const { levels } = parseQeIdentity(JSON.stringify(identity()))
    expect(sortEnclaveTcbLevels(levels).map(({ isvSvn }) => isvSvn)).toEqual([65_535, 4, 0])
    expect(levels.map(({ isvSvn }) => isvSvn)).toEqual([4, 65_535, 0])
  })

  it.each(['QE', 'TD_QE', 'QVE'])('may be of the %s', (id) => {
    expect(identityOutcome({ ...identity(), id })).toBe('parsed')
  })

  it.each<[string, unknown[]]>([
    ['id', [undefined, 'qe', 'TDQE', null]],
    ['version', [undefined, 1, 3, '2']],
    ['issueDate', [undefined, 'never']],
    ['nextUpdate', [undefined, 'never', null]],
    ['tcbEvaluationDataNumber', [undefined, '17', -1]],
    ['miscselect', [undefined, '000000', '0000000000', 'x0000000', 0]],
    ['miscselectMask', [undefined, 'FFFFFF']],
    ['attributes', [undefined, '11'.repeat(15), '11'.repeat(17)]],
    ['attributesMask', [undefined, 'FB']],
    ['mrsigner', [undefined, 'DC'.repeat(31), 'DC'.repeat(33), 'DC'.repeat(48)]],
    ['isvprodid', [undefined, 65_536, -1, '1', 1.5]],
    ['tcbLevels', [undefined, [], {}]],
    ['tcbLevels.0.tcb.isvsvn', [undefined, 65_536, '4', -1, 4.5, 0]],
    ['tcbLevels.0.tcbStatus', [undefined, 'SWHardeningNeeded', 'ConfigurationNeeded']],
    ['tcbLevels.0.tcbDate', [undefined, '2024']],
    ['tcbLevels.0.advisoryIDs', ['x', [null]]],
  ])('is refused with another %s', (path, values) => {
    for (const value of values) {
      const says = identityOutcome(changed(identity(), path, value))
      expect([value, says]).toEqual([value, expect.stringMatching(/^qeIdentity/)])
    }
  })

  it.each(['', '{}', '[]', 'null', '"x"'])('is not %j', (text) => {
    expect(outcome(parseQeIdentity, text)).not.toBe('parsed')
  })
})

describe('any text', () => {
  it('parses or gives MalformedError', () => {
    fc.assert(fc.property(fc.json(), (text) => void outcome(parseTcbInfo, text)))
    const edit = fc.record({ at: fc.nat(2_000), cut: fc.nat(4), put: fc.string({ maxLength: 3 }) })
    const [info, qe] = [JSON.stringify(tdxInfo()), JSON.stringify(identity())]
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        outcome(parseTcbInfo, info.slice(0, at) + put + info.slice(at + cut))
        outcome(parseQeIdentity, qe.slice(0, at) + put + qe.slice(at + cut))
      }),
    )
  })
})
