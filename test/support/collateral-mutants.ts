import { describe, expect, it } from 'vitest'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { appraiseQuote, createQuoteMemo } from '../../src/verifier/index.ts'
import { recordedCollateral, recordedQuote } from './recorded-tdx.ts'
import { haveVectors } from './vectors.ts'

const members = [
  'tcbInfoIssuerChain',
  'tcbInfo',
  'tcbInfoSignature',
  'qeIdentityIssuerChain',
  'qeIdentity',
  'qeIdentitySignature',
  'rootCaCrl',
  'pckCrl',
  'pckCrlIssuerChain',
] as const satisfies readonly (keyof Collateral)[]

function changedAt(value: string | Uint8Array, at: number, mask: number): string | Uint8Array {
  if (typeof value !== 'string') return value.map((byte, place) => (place === at ? byte ^ mask : byte))
  return value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ mask) + value.slice(at + 1)
}

function verifiedMutants(
  collateral: Collateral,
  member: (typeof members)[number],
  judge: (mutant: Collateral) => boolean,
): string[] {
  const value = collateral[member]
  const places = Array.from({ length: value?.length ?? 0 }, (_, at) => at)
  return places.flatMap((at) =>
    [0x01, 0x20, 0xff]
      .filter((mask) => value !== null && judge({ ...collateral, [member]: changedAt(value, at, mask) }))
      .map((mask) => `${at} ^ ${mask}`),
  )
}

/**
 * Changes every byte of every member of a recorded bundle: nothing of it is without effect. Hexadecimal digits are read
 * in lower case alone, and PEM by its strict grammar. The memo spares the work on what is not changed.
 */
export function describeCollateralMutants(quoteFile: string, bundle: string, at: string): void {
  describe.skipIf(!haveVectors)(`every byte of ${bundle}, changed (TDX-270)`, () => {
    it.each(members)(
      '%s: no mutant is verified, none throws',
      (member) => {
        const quote = recordedQuote(`quotes/${quoteFile}.bin`)
        const collateral = recordedCollateral(`collateral/${bundle}.json`)
        const memo = createQuoteMemo()
        const judge = (mutant: Collateral) =>
          appraiseQuote(quote, { collateral: mutant, now: Date.parse(at), reportData: 'any', memo }).verified
        expect(judge(collateral)).toBe(true)
        expect(verifiedMutants(collateral, member, judge)).toEqual([])
      },
      120_000,
    )
  })
}
