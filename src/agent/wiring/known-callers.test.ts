import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { platformErrors } from '../../platform/errors.ts'
import { warnOfUnknownCallers } from './known-callers.ts'

const root = mkdtempSync(join(tmpdir(), 'attestd-mounts-'))
mkdirSync(join(root, 'proc'))
afterAll(() => rmSync(root, { recursive: true }))

async function said(mounts: string, degraded = false): Promise<readonly (readonly [string, object, string])[]> {
  writeFileSync(join(root, 'proc/mounts'), mounts)
  const lines: (readonly [string, object, string])[] = []
  const log = {
    error: (facts: object, text: string) => void lines.push(['error', facts, text]),
    warn: (facts: object, text: string) => void lines.push(['warn', facts, text]),
  }
  const unknown = platformErrors.error('caller_gone', 'nobody can be told from anybody')
  await warnOfUnknownCallers({ degraded: degraded ? unknown : null }, log, root)
  return lines
}

it('nothing is said where all processes can be seen', async () => {
  expect(await said('proc /proc proc rw,nosuid 0 0\n')).toEqual([])
})

it('the option is named with which /proc hides processes (API-56)', async () => {
  expect(await said('proc /proc proc rw,hidepid=invisible 0 0\n')).toEqual([
    [
      'warn',
      { event: 'processes_hidden', option: 'hidepid=invisible' },
      expect.stringContaining('/proc is mounted with hidepid=invisible'),
    ],
  ])
})

it('the error is told with which nobody is known at all (API-55)', async () => {
  expect(await said('proc /proc proc rw,hidepid=2 0 0\n', true)).toEqual([
    ['error', { code: 'caller_gone' }, 'nobody can be told from anybody'],
  ])
})
