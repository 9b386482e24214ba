import { describe, expect, it } from 'vitest'
import type { ItemKey } from './item-key.ts'
import { intelPcs, parsePccsBase } from './pccs-base.ts'
import { addressOf, type HexCase } from './pccs-request.ts'

const fmspc = '00a067110abc'
const tcb = (tee: 'sgx' | 'tdx', update: 'standard' | 'early' | { evaluationNumber: number } = 'standard') =>
  ({ kind: 'tcb-info', tee, fmspc, update }) as const
const identity = (tee: 'sgx' | 'tdx', update: 'standard' | 'early' = 'standard') =>
  ({ kind: 'qe-identity', tee, update }) as const

const rows: readonly (readonly [ItemKey, HexCase, string, string])[] = [
  [tcb('tdx'), 'lower', '/tdx/certification/v4/tcb?fmspc=00a067110abc', '/tdx/certification/v4/tcb?fmspc=00a067110abc'],
  [tcb('tdx'), 'upper', '/tdx/certification/v4/tcb?fmspc=00A067110ABC', '/tdx/certification/v4/tcb?fmspc=00A067110ABC'],
  [
    tcb('sgx', 'early'),
    'lower',
    '/sgx/certification/v4/tcb?fmspc=00a067110abc&update=early',
    '/sgx/certification/v3/tcb?fmspc=00a067110abc&update=early',
  ],
  [
    tcb('tdx', { evaluationNumber: 17 }),
    'lower',
    '/tdx/certification/v4/tcb?fmspc=00a067110abc&tcbEvaluationDataNumber=17',
    '/tdx/certification/v4/tcb?fmspc=00a067110abc&tcbEvaluationDataNumber=17',
  ],
  [identity('tdx'), 'lower', '/tdx/certification/v4/qe/identity', '/tdx/certification/v4/qe/identity'],
  [
    identity('sgx', 'early'),
    'lower',
    '/sgx/certification/v4/qe/identity?update=early',
    '/sgx/certification/v3/qe/identity?update=early',
  ],
  [
    { kind: 'pck-crl', ca: 'processor' },
    'lower',
    '/sgx/certification/v4/pckcrl?ca=processor&encoding=der',
    '/sgx/certification/v3/pckcrl?ca=processor&encoding=der',
  ],
  [{ kind: 'root-crl' }, 'lower', '/sgx/certification/v4/rootcacrl', '/sgx/certification/v3/rootcacrl'],
]

describe('where an item is served (tdx.md 4.1)', () => {
  it.each(rows)('%j in %s case', (key, hexCase, v4, v3) => {
    const place = (version: number) => parsePccsBase(`https://h/p/sgx/certification/v${version}/`)
    expect(addressOf(place(4), key, hexCase).href).toBe(`https://h/p${v4}`)
    expect(addressOf(place(3), key, hexCase).href).toBe(`https://h/p${v3}`)
  })

  it('the list of the root of Intel has an address of its own', () => {
    expect(addressOf(parsePccsBase(intelPcs), { kind: 'root-crl' }, 'lower').href).toBe(
      'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der',
    )
  })
})
