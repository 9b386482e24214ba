import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createRoot } from '../../../test/support/test-ca.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { parseConfigurationBy } from '../configuration/load.ts'
import { serviceSchema } from '../configuration/service-schema.ts'
import { baseOf } from './collateral.ts'
import { readTdRequirements } from './td-requirements.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-requirements-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = 'verifier.toml'
const requirementsOf = (...lines: readonly string[]) => {
  const text = ['[issuer]', 'url = "https://verifier.example"', ...lines, ''].join('\n')
  return readTdRequirements({ file, text, configuration: parseConfigurationBy(serviceSchema, text, file) })
}
const hexOf = (byte: number, size: number) => byte.toString(16).padStart(2, '0').repeat(size)

describe('what a configuration asks of a TD', () => {
  it('is hardware of Intel, whose collateral is in force, not in debug mode', async () => {
    expect(await requirementsOf()).toEqual({
      trustAnchors: intelSgxRootAnchors,
      references: {},
      policy: {
        acceptDebug: false,
        tcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
        collateralGraceSeconds: 0,
        minTcbEvalNum: 0,
      },
      simulator: false,
      eventLog: { requirement: 'ifPresent' },
    })
  })

  it('is what it says, in the units of the verifier', async () => {
    const changed = ['tcb_statuses = ["OutOfDate"]', 'tcb_minimum_evaluation = 18', 'collateral_grace = "90m"']
    expect((await requirementsOf('[verifier]', ...changed, 'debug = true')).policy).toEqual({
      ...{ acceptDebug: true, tcbStatuses: ['OutOfDate'], collateralGraceSeconds: 5400, minTcbEvalNum: 18 },
    })
  })

  it.each([
    ['required', 'required'],
    ['if-present', 'ifPresent'],
    ['optional', 'optional'],
  ])('an event log that is %s', async (given, requirement) => {
    expect((await requirementsOf('[verifier]', `cc_event_log = "${given}"`)).eventLog).toEqual({ requirement })
  })

  it('compares each measurement with the field of its name', async () => {
    const fields = [
      ...['mr_td', 'mr_seam', 'mr_signer_seam', 'mr_config_id', 'mr_owner', 'mr_owner_config'],
      ...['rtmr_0', 'rtmr_1', 'rtmr_2', 'rtmr_3', 'mr_servicetd'],
    ]
    const lines = fields.map((name, at) => `${name} = ["${hexOf(at, 48)}"]`)
    const small = ['td_attributes', 'xfam'].map((name, at) => `${name} = ["${hexOf(20 + at, 8)}"]`)
    const { references } = await requirementsOf('[verifier.td]', ...lines, ...small)
    const first = Object.entries(references ?? {}).map(([name, [value]]) => [name, value?.length, value?.[0]])
    expect(Object.fromEntries(first.map(([name, ...rest]) => [name, rest]))).toEqual({
      ...{ mrTd: [48, 0], mrSeam: [48, 1], mrSignerSeam: [48, 2], mrConfigId: [48, 3], mrOwner: [48, 4] },
      ...{ mrOwnerConfig: [48, 5], rtmr0: [48, 6], rtmr1: [48, 7], rtmr2: [48, 8], rtmr3: [48, 9] },
      ...{ mrServiceTd: [48, 10], tdAttributes: [8, 20], xfam: [8, 21] },
    })
  })

  it('takes a root of its own beside that of Intel, for simulated TDs alone (TDX-098, TDX-287)', async () => {
    const root = join(folder, 'root.pem')
    writeFileSync(root, encodePem(createRoot({}).certificate.der, 'CERTIFICATE'))
    const anchors = ['[verifier]', `tdx_anchors = ["${root}"]`]
    const { trustAnchors = [], simulator } = await requirementsOf('[tdx]', 'simulator = true', ...anchors)
    expect(simulator).toBe(true)
    expect(trustAnchors.slice(0, -1)).toEqual(intelSgxRootAnchors)
    expect(trustAnchors.map((anchor) => anchor.simulator === true)).toEqual([
      ...intelSgxRootAnchors.map(() => false),
      true,
    ])
    await expect(requirementsOf(...anchors)).rejects.toThrow('verifier.tdx_anchors need tdx.simulator = true')
  })
})

describe('a server of collateral', () => {
  it('is asked without TLS on loopback alone, and there only where that is allowed', () => {
    expect(() => baseOf('http://127.0.0.1:8081', true)).not.toThrow()
    for (const [url, allowed] of [
      ['http://127.0.0.1:8081', false],
      ['http://pccs.example', true],
    ] as const) {
      expect(() => baseOf(url, allowed), url).toThrow()
    }
  })
})
