import { expect, it } from 'vitest'
import { coreReservedClaims, reservedClaims } from '../results/reserved-claims.ts'
import { reservedNames } from './reserved-claims.ts'

it('reserves for policies what tokens use (POL-427)', () => {
  expect([...reservedNames.maa].sort()).toEqual([...coreReservedClaims].sort())
  expect([...reservedNames.attestd].sort()).toEqual([...reservedClaims].sort())
})
