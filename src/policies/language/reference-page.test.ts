import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { reservedNames } from '../reserved-claims.ts'
import { formatPolicy } from './format-policy.ts'
import { parsePolicy } from './parse-policy.ts'
import { showDiagnostic } from './show-diagnostic.ts'
import { actionNames, functionNames } from './words.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/policy-language.md'), 'utf8')
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${kind}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '')

/** The ids that the code of this folder can give. */
function idsOfTheCode(): string[] {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const texts = files.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
  const ids = texts.flatMap((text) => [...text.matchAll(/'(POL-\d{3})'/g)].map(([, id]) => id ?? ''))
  return [...new Set(ids)].sort()
}

describe('the page about the policy language', () => {
  it('shows policies that load, in the canonical layout', () => {
    expect(blocks('policy').length).toBeGreaterThan(2)
    for (const text of blocks('policy')) {
      expect(parsePolicy(text).diagnostics).toBeUndefined()
      expect(formatPolicy(text).text).toBe(text)
    }
  })

  it('has a row for every diagnostic, and for no other', () => {
    const rows = [...page.matchAll(/^\| (POL-\d{3}) \|/gm)].map(([, id]) => id ?? '')
    expect(rows).toEqual(idsOfTheCode())
  })

  it('shows a diagnostic as it is', () => {
    const source = `version=1.2;\nauthorizationrules {\n    [type="tdx.tcb_status", value=="UpToDate"] => permit();\n};`
    const [first] = parsePolicy(source).diagnostics ?? []
    expect(first && `${showDiagnostic(first, source, 'site.policy')}\n`).toBe(blocks('text')[0])
  })

  it('names every action and every function', () => {
    for (const word of [...actionNames, ...functionNames]) expect(page).toContain(`\`${word}(`)
  })
  it('names every claim that no policy can issue, for both kinds of tokens (POL-427)', () => {
    const [, everywhere = '', besides = ''] =
      /^\* everywhere:([^;]*);\n\* in tokens of `attestd` besides:([^.]*)\./m.exec(page) ?? []
    const names = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')
    expect(names(everywhere).sort()).toEqual([...reservedNames.maa].sort())
    expect(names(everywhere + besides).sort()).toEqual([...reservedNames.attestd].sort())
  })
})
