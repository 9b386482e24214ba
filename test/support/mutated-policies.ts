import fc from 'fast-check'
import { policyTexts } from './policy-arbitraries.ts'
import { policyBytes, policyCases } from './policy-cases.ts'
import { haveVectors } from './vectors.ts'

/** Short texts of the recorded cases, most of which load. */
export const recordedPolicyTexts = haveVectors
  ? policyCases()
      .map((each) => policyBytes(each))
      .filter((bytes) => bytes.length < 4000)
      .map((bytes) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))
  : []

const pieces =
  'version = 1.0 1.1 1.2 ; { } [ ] ( ) , : . ! == != < <= > >= => && || =~ // /* */ " \\ \\" \' \u201c \u201d \u037e \ufeff \u200b \u00a0 - 0 0x1 9223372036854775808 1.5 type value valueType issuer permit deny add issue issueproperty claim true True JmesPath NegateBool( IsSubsetOf( configurationrules authorizationrules{ issuancerules{ }; c: c.value \r \n \r\n \t \0 \u001b \u{1f600} \ud83d __proto__ constructor "omit_x5c" "AttestationService"'.split(
    ' ',
  )

interface Mutation {
  readonly kind: 'delete' | 'insert' | 'double' | 'cut' | 'swap' | 'repeat'
  readonly at: number
  readonly size: number
  readonly piece: string
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('delete', 'insert', 'double', 'cut', 'swap', 'repeat'),
  at: fc.nat(100_000),
  size: fc.nat(40),
  piece: fc.constantFrom(...pieces),
})

function mutated(text: string, { kind, at: place, size, piece }: Mutation): string {
  const at = text.length === 0 ? 0 : place % text.length
  const [before, after] = [text.slice(0, at), text.slice(at)]
  switch (kind) {
    case 'delete':
      return before + after.slice(1 + (size % 8))
    case 'insert':
      return before + piece + after
    case 'double':
      return before + after.slice(0, size) + after
    case 'cut':
      return size < 4 ? before : text.replace(piece, '')
    case 'swap':
      return before + after.slice(1, 2) + after.slice(0, 1) + after.slice(2)
    case 'repeat':
      return before + piece.repeat(size * 8) + after
  }
}

/** Texts of policies that were changed in a few places, most of which do not load any more. */
export const mutatedPolicyTexts: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(policyTexts, recordedPolicyTexts.length > 0 ? fc.constantFrom(...recordedPolicyTexts) : policyTexts),
    fc.array(mutation, { maxLength: 6 }),
  )
  .map(([text, mutations]) => mutations.reduce(mutated, text))
