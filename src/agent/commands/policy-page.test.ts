import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { policyCommand } from './policy.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/policy.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-page-'))
const before = process.cwd()

const files = [...page.matchAll(/^```(?:text|json) (\S+)\n([\s\S]*?)^```$/gm)]
const sessions = [...page.matchAll(/^```console\n\$ attestd policy (.*)\n([\s\S]*?)^```$/gm)]

describe('docs/policy.md', () => {
  beforeAll(() => {
    for (const [, name = '', content = ''] of files) writeFileSync(join(folder, name), content)
    process.chdir(folder)
  })
  afterAll(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true, force: true })
  })

  it('has files and sessions', () => {
    expect([files.length, sessions.length]).toEqual([5, 6])
  })

  it.each(sessions.map(([, line = '', out = '']) => [line, out]))(
    'shows what the program prints for %s',
    async (line, out) => {
      expect((await runInProcess(policyCommand, ...line.split(' '))).out).toBe(out)
    },
  )
})
