import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encode } from '../../base/layout.ts'
import { attestLayout, parseTpmAttest, type TpmAttest } from './attest.ts'
import {
  encodePublic,
  nameOf,
  padCoordinate,
  parsePublic,
  publicKeyOf,
  qualifiedNameOfChild,
  qualifiedNameOfPrimary,
  qualifiedNameUnderHierarchy,
  qualifiedNameUnderParent,
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

interface Machine {
  ek: Record<string, { name: string; qualifiedName: string }>
  aks: Record<string, { file: string; name: string; qualifiedName: string; parent: string; attributes: string }>
  steps: Step[]
}

describe('limits of structures', () => {
  const attest: TpmAttest = {
    qualifiedSigner: new Uint8Array(34),
    extraData: new Uint8Array(32),
    clock: 1n,
    resetCount: 1,
    restartCount: 0,
    safe: 1,
    firmwareVersion: 1n,
    pcrSelect: [],
    pcrDigest: new Uint8Array(32),
  }
  const name = (size: number) => Uint8Array.of(0, 0x0b, ...new Uint8Array(size))

  it('a quote selects from at most 16 banks (NAT-52)', () => {
    const selecting = (banks: number) => {
      const head = encode(attestLayout, attest).slice(0, -34).with(-1, banks)
      const selections = Array.from({ length: banks }, (_, bank) => [1, bank, 3, 1, 0, 0]).flat()
      return Uint8Array.of(...head, ...selections, 0, 0)
    }
    expect(parseTpmAttest(selecting(16)).pcrSelect).toHaveLength(16)
    expect(() => parseTpmAttest(selecting(17))).toThrow('length 17 is above the limit 16')
  })

  it('a coordinate is as long as its field, or shorter', () => {
    expect(padCoordinate(Uint8Array.of(7), 3)).toEqual(Uint8Array.of(0, 0, 7))
    expect(padCoordinate(Uint8Array.of(5, 6, 7), 3)).toEqual(Uint8Array.of(5, 6, 7))
    expect(() => padCoordinate(new Uint8Array(4), 3)).toThrow(MalformedError)
  })

  it.each([0, 31, 33])('a Name of SHA-256 has no digest of %i bytes', (size) => {
    expect(() => qualifiedNameUnderHierarchy(name(size), 'endorsement')).toThrow(MalformedError)
    expect(() => qualifiedNameUnderParent(name(32), name(size))).toThrow(MalformedError)
    expect(qualifiedNameUnderHierarchy(name(32), 'endorsement')).toHaveLength(34)
  })
})

describe.skipIf(!haveVectors)('structures of a recorded machine', () => {
  const machine: Machine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { ek: {}, aks: {}, steps: [] }
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
