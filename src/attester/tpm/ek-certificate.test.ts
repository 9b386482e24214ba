import { describe, expect, it } from 'vitest'
import { createIntermediate, createRoot } from '../../../test/support/test-ca.ts'
import { concatBytes } from '../../base/bytes.ts'
import { splitChain } from './ek-certificate.ts'

describe('the chain in NV', () => {
  const root = createRoot()
  const authorities = [createIntermediate(root, { subject: { CN: 'authority 0' } })]
  for (let depth = 1; depth < 6; depth++) {
    const parent = authorities[depth - 1] ?? root
    authorities.push(createIntermediate(parent, { subject: { CN: `authority ${depth}` } }))
  }
  const ders = authorities.map(({ certificate }) => certificate.der)
  const [one = new Uint8Array(), two = new Uint8Array()] = ders

  it('is cut where each certificate ends', () => {
    expect(splitChain(concatBytes(one, two))).toEqual([one, two])
  })

  it('ends where padding begins, or what is no certificate', () => {
    expect(splitChain(concatBytes(one, new Uint8Array(50)))).toEqual([one])
    expect(splitChain(concatBytes(one, new Uint8Array(50).fill(0xff)))).toEqual([one])
    expect(splitChain(concatBytes(one, two.subarray(0, -1)))).toEqual([one])
    expect(splitChain(concatBytes(Uint8Array.of(0x30, 3, 2, 1, 0), one))).toEqual([])
    expect(splitChain(new Uint8Array())).toEqual([])
    expect(splitChain(Uint8Array.of(0x30))).toEqual([])
    expect(splitChain(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0))).toEqual([])
  })

  it('has no self-signed certificate: an anchor does not come with the evidence', () => {
    expect(splitChain(concatBytes(root.certificate.der, one, root.certificate.der, two))).toEqual([one, two])
  })

  it('has at most four certificates', () => {
    expect(splitChain(concatBytes(...ders))).toEqual(ders.slice(0, 4))
  })

  it('has no certificate of more than 4 KiB', () => {
    const large = { id: '1.2.3.4', critical: false, value: new Uint8Array(4100) }
    const { certificate } = createIntermediate(root, { extensions: [large] })
    expect(splitChain(concatBytes(one, certificate.der, two))).toEqual([one])
  })
})
