import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { encode } from '../../base/layout.ts'
import { attestLayout, parseTpmAttest } from './attest.ts'
import {
  encodePublic,
  nameOf,
  parsePublic,
  publicKeyOf,
  qualifiedNameOfChild,
  qualifiedNameOfPrimary,
} from './public-area.ts'
import { encodeTpmSignature, parseTpmSignature } from './signature.ts'

interface Step {
  id: string
  ak: string
  nonce: string
  attest: {
    clock: string
    resetCount: number
    restartCount: number
    safe: number
    qualifiedSigner: string
    pcrDigest: string
  }
}

describe.skipIf(!haveVectors)('structures of a recorded machine', () => {
  const machine = vectorJson('tpm/sequence/sequence.json') as {
    ek: Record<string, { name: string; qualifiedName: string }>
    aks: Record<string, { file: string; name: string; qualifiedName: string; parent: string; attributes: string }>
    steps: Step[]
  }
  const area = (file: string) => parsePublic(vector(`tpm/sequence/${file}`))

  it.each(Object.entries(machine.ek))('EK %s has its name and qualified name', (kind, expected) => {
    const ek = area(`ek-${kind}.tpmt`)
    expect(toHex(nameOf(ek))).toBe(expected.name)
    expect(toHex(qualifiedNameOfPrimary(ek, 'endorsement'))).toBe(expected.qualifiedName)
  })

  it.each(Object.values(machine.aks))(
    'AK $file has its name and qualified name, and encodes to the same bytes',
    (expected) => {
      const ak = area(expected.file)
      const parent = qualifiedNameOfPrimary(area(`${expected.parent}.tpmt`), 'endorsement')
      expect(toHex(nameOf(ak))).toBe(expected.name)
      expect(toHex(qualifiedNameOfChild(parent, ak))).toBe(expected.qualifiedName)
      expect(ak.attributes).toBe(Number(expected.attributes))
      expect(encodePublic(ak)).toEqual(vector(`tpm/sequence/${expected.file}`))
      expect(publicKeyOf(ak).type).toBe('public')
    },
  )

  it.each(machine.steps)('quote $id parses to the recorded fields, and encodes to the same bytes', (step) => {
    const bytes = vector(`tpm/sequence/${step.id}.attest`)
    const attest = parseTpmAttest(bytes)
    expect(toHex(attest.extraData)).toBe(step.nonce)
    expect(String(attest.clock)).toBe(step.attest.clock)
    expect([attest.resetCount, attest.restartCount, attest.safe]).toEqual([
      step.attest.resetCount,
      step.attest.restartCount,
      step.attest.safe,
    ])
    expect(toHex(attest.qualifiedSigner)).toBe(step.attest.qualifiedSigner)
    expect(toHex(attest.pcrDigest)).toBe(step.attest.pcrDigest)
    expect(encode(attestLayout, attest)).toEqual(bytes)
    const signature = vector(`tpm/sequence/${step.id}.sig`)
    expect(encodeTpmSignature(parseTpmSignature(signature))).toEqual(signature)
  })
})
