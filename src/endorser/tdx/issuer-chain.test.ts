import { describe, expect, it } from 'vitest'
import { CollateralIssuer } from '../../../mocks/tdx/collateral.ts'
import { rigNow, rigPki } from '../../../test/support/collateral-rig.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { decodeIssuerChain } from './issuer-chain.ts'

const chain = new CollateralIssuer(rigPki, rigNow).signerChain()
const [leaf = '', root = ''] = chain.split(/(?<=-----END CERTIFICATE-----\n)/)

describe('the chain in a header (PCS-03)', () => {
  it('is decoded once', () => {
    expect(decodeIssuerChain(encodeURIComponent(chain), 'chain')).toBe(chain)
    expect(() => decodeIssuerChain(encodeURIComponent(encodeURIComponent(chain)), 'chain')).toThrow('certificate')
  })

  it('keeps a plus, which is no space', () => {
    const half = encodeURIComponent(chain).replaceAll('%2B', '+')
    expect(chain).toContain('+')
    expect(decodeIssuerChain(half, 'chain')).toBe(chain)
    expect(() => decodeIssuerChain(half.replaceAll('+', '%20'), 'chain')).toThrow('base64')
  })

  it.each([
    ['one certificate', leaf],
    ['three certificates', leaf + root + root],
    ['nothing', ''],
    ['text between', `${leaf}x\n${root}`],
  ])('%s is refused', (_, text) => {
    expect(() => decodeIssuerChain(encodeURIComponent(text), 'chain')).toThrow(
      expect.objectContaining({ code: 'MALFORMED' }),
    )
  })

  it.each(['%', '%2', '%zz', '%ff'])('%j is no percent-encoding', (text) => {
    expect(() => decodeIssuerChain(text, 'chain')).toThrow('percent-encoded')
  })

  it.skipIf(!haveVectors)('of Intel, as recorded', () => {
    const bundle = vectorJson('tdx/collateral/dcapqvl-tdx-b0c06f-2025-06.json')
    const text: string = bundle.tcb_info_issuer_chain
    expect(decodeIssuerChain(encodeURIComponent(text), 'chain')).toBe(text)
  })
})
