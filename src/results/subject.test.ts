import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { AttestdError } from '../base/errors.ts'
import { composeSubject, type SubjectFacts, type SubjectRule } from './subject.ts'

const nothing: SubjectFacts = { tee: 'tdx', claims: {}, jkt: null, ekSpkiSha256: null }

/** `{ 'a.b': 1 }` to `{ a: { b: 1 } }`. */
function nest(flat: Record<string, unknown>): Record<string, unknown> {
  const tree: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(flat)) {
    const steps = path.split('.')
    const last = steps.pop() ?? ''
    let at = tree
    for (const step of steps) {
      at[step] ??= {}
      at = at[step] as Record<string, unknown>
    }
    at[last] = value
  }
  return tree
}

interface AcceptCase {
  readonly name: string
  readonly input: { mode: SubjectRule['mode']; jkt?: string; ek?: string; tee?: 'tdx'; claims?: Record<string, string> }
  readonly sub: string
  readonly length: number
}

interface RefuseCase {
  readonly name: string
  readonly mode: SubjectRule['mode']
  readonly claimPaths?: string[]
  readonly available?: string[]
}

function ruleOf({ name, input }: AcceptCase): SubjectRule {
  if (input.mode !== 'workload') return { mode: input.mode }
  return name.includes('default')
    ? { mode: 'workload' }
    : { mode: 'workload', claimPaths: Object.keys(input.claims ?? {}) }
}

describe.skipIf(!haveVectors)('subjects of the vectors', () => {
  const { accept, refuse }: { accept: AcceptCase[]; refuse: RefuseCase[] } = haveVectors
    ? vectorJson('token/subjects.json')
    : { accept: [], refuse: [] }

  it.each(accept)('$name', (example) => {
    const { jkt = null, ek = null, claims = {} } = example.input
    const sub = composeSubject(ruleOf(example), { ...nothing, jkt, ekSpkiSha256: ek, claims: nest(claims) })
    expect(sub).toBe(example.sub)
    expect(Buffer.byteLength(sub)).toBe(example.length)
  })

  it.each(refuse)('refuses: $name', ({ mode, claimPaths, available = [] }) => {
    const rule: SubjectRule = mode === 'workload' ? { mode, claimPaths: claimPaths ?? [] } : { mode }
    const claims = nest(Object.fromEntries(available.map((path) => [path, 'ab'])))
    expect(() => composeSubject(rule, { ...nothing, claims })).toThrow(AttestdError)
  })
})

describe('a subject', () => {
  const rule: SubjectRule = { mode: 'workload', claimPaths: ['tpm.pcr.4'] }
  const facts = (pcr: unknown): SubjectFacts => ({ ...nothing, tee: 'tpm', claims: { tpm: { pcr: { '4': pcr } } } })
  const codeOf = (make: () => string) => {
    try {
      return make()
    } catch (error) {
      return error instanceof AttestdError
        ? `${error.code} ${error.facts['claim'] ?? error.facts['tee']}`
        : String(error)
    }
  }

  it('has the form that every cloud takes (TOK-36)', () => {
    expect(composeSubject(rule, facts('ab'))).toMatch(/^attestd:v1:workload:[A-Za-z0-9_-]{43}$/)
  })

  it('differs for kind, claim name and value', () => {
    const subjects = new Set([
      composeSubject(rule, facts('ab')),
      composeSubject(rule, facts('ac')),
      composeSubject(rule, facts(4)),
      composeSubject(rule, facts(false)),
      composeSubject(rule, { ...facts('ab'), tee: 'tdx' }),
      composeSubject(
        { mode: 'workload', claimPaths: ['tpm.pcr.5'] },
        { ...nothing, tee: 'tpm', claims: { tpm: { pcr: { '5': 'ab' } } } },
      ),
    ])
    expect(subjects.size).toBe(6)
  })

  it('does not depend on the order of the list', () => {
    const paths = ['tpm.a', 'tpm.b']
    const claims = { tpm: { a: 'x', b: 'y' } }
    const subject = (claimPaths: string[]) => composeSubject({ mode: 'workload', claimPaths }, { ...nothing, claims })
    expect(subject(paths)).toBe(subject([...paths].reverse()))
  })

  it.each([undefined, null, '', {}, [], ['ab'], 1.5, Number.NaN])(
    'has no fallback for the claim %j (TOK-40)',
    (pcr) => {
      expect(codeOf(() => composeSubject(rule, facts(pcr)))).toBe('SUBJECT_UNPROVEN tpm.pcr.4')
    },
  )

  it.each(['tpm.constructor', 'tpm.pcr.4.length', '__proto__', 'toString'])('does not read %s', (path) => {
    const odd: SubjectRule = { mode: 'workload', claimPaths: [path] }
    expect(codeOf(() => composeSubject(odd, facts('ab')))).toBe(`SUBJECT_UNPROVEN ${path}`)
  })

  it('needs a list where the kind has no default', () => {
    expect(codeOf(() => composeSubject({ mode: 'workload' }, facts('ab')))).toBe('SUBJECT_RULE_INVALID tpm')
    expect(codeOf(() => composeSubject({ mode: 'workload', claimPaths: [] }, facts('ab')))).toBe(
      'SUBJECT_RULE_INVALID tpm',
    )
  })
})
