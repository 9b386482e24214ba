import type { Action, ClaimProperty, ComparisonOperator, FunctionName, PolicyVersion, SectionName } from './syntax.ts'

export type ActionName = Action['kind']

export const policyVersions: readonly PolicyVersion[] = ['1.0', '1.1', '1.2']

/** In the order of the text. */
export const sectionNames: readonly SectionName[] = ['configurationrules', 'authorizationrules', 'issuancerules']

export const claimProperties: readonly ClaimProperty[] = ['type', 'value', 'valueType', 'issuer']

export const comparisonOperators: readonly ComparisonOperator[] = ['==', '!=', '<=', '<', '>=', '>']

export const actionNames: readonly ActionName[] = ['permit', 'deny', 'add', 'issue', 'issueproperty']

/** POL-306. */
export const functionArity: Readonly<Record<FunctionName, number>> = {
  JmesPath: 2,
  JsonToClaimValue: 1,
  IsSubsetOf: 2,
  AppendString: 2,
  NegateBool: 1,
  ContainsOnlyValue: 2,
}

export const functionNames = Object.keys(functionArity) as readonly FunctionName[]

/** What POL-301 allows; `issue` in authorizationrules is accepted beside these and works as `add`. */
export const sectionActions: Readonly<Record<SectionName, readonly ActionName[]>> = {
  configurationrules: ['issueproperty'],
  authorizationrules: ['permit', 'deny', 'add'],
  issuancerules: ['add', 'issue', 'issueproperty'],
}

const reservedWords: ReadonlySet<string> = new Set([
  'version',
  ...sectionNames,
  ...claimProperties,
  ...actionNames,
  'claim',
  'true',
  'false',
  ...functionNames,
])

/** POL-109: these cannot name a set of claims. */
export function isReserved(word: string): boolean {
  return reservedWords.has(word)
}

/** POL-110: the one of `words` that is `word` but for the case of its letters. */
export function inOtherCase<Word extends string>(word: string, words: readonly Word[]): Word | undefined {
  const folded = word.toLowerCase()
  return words.find((other) => other.toLowerCase() === folded)
}

/** As `expected` lists it: `'=='`. */
export function quoted(texts: readonly string[]): string[] {
  return texts.map((text) => `'${text}'`)
}
