import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readReferenceFiles } from './reference-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-references-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const header = '{"format":"attestd.reference-values","version":1,"name":"example"}'
const fileLine = (path: string, digit: string) => `{"file":"${path}","sha256":["${digit.repeat(64)}"]}`
function document(name: string, ...lines: readonly string[]): string {
  const path = join(folder, name)
  writeFileSync(path, [header, ...lines, ''].join('\n'))
  return path
}

const idOf = async (...files: readonly string[]) => {
  const read = await readReferenceFiles(files)
  return 'references' in read ? read.references.id : `${read.position}: ${read.problem}`
}

describe('reference values of several documents', () => {
  it('are joined, and have one id whatever the order and the division', async () => {
    const a = document('a.jsonl', fileLine('/a', '1'))
    const b = document('b.jsonl', fileLine('/b', '2'))
    const both = document('ab.jsonl', fileLine('/b', '2'), fileLine('/a', '1'))
    const id = await idOf(a, b)
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(await idOf(b, a)).toBe(id)
    expect(await idOf(both)).toBe(id)
    expect(await idOf(a)).not.toBe(id)
  })

  it.each([
    ['a line that is none', '{"file":"/a"}', /^1: .*bad\.jsonl.*line 2/],
    ['a member that is not known', `{"file":"/a","sha256":["${'1'.repeat(64)}"],"x":1}`, /^1: .*bad\.jsonl.*line 2/],
  ])('name the document and the line of %s', async (_, line, says) => {
    expect(await idOf(document('good.jsonl'), document('bad.jsonl', line))).toMatch(says)
  })

  it('that are not there are named by their position', async () => {
    expect(await idOf(document('good.jsonl'), join(folder, 'absent'))).toMatch(/^1: .*: ENOENT$/)
  })
})
