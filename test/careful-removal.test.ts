import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requireTestFolder } from './support/test-folder.ts'

describe('what tests may remove', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-removal-'))

  it.each([
    '',
    '.',
    '/',
    tmpdir(),
    `${tmpdir()}/`,
    join(folder, '..'),
    join(tmpdir(), 'other'),
    join(folder, '../other'),
    '/dev/shm',
    'attestd-here',
  ])('is not %j', (path) => {
    // Not tried with a removal: where the guard is broken, that would be the last test of the machine.
    expect(() => requireTestFolder(path)).toThrow('is no folder of a test')
  })

  it('is asked before every removal of a whole folder', async () => {
    const foreign = mkdtempSync(join(tmpdir(), 'foreign-'))
    const options = { recursive: true, force: true }
    expect(() => rmSync(foreign, options)).toThrow('is no folder of a test')
    await expect(rm(foreign, options)).rejects.toThrow('is no folder of a test')
    expect(existsSync(foreign)).toBe(true)
    rmdirSync(foreign)
  })

  it('is a folder of a test, and what is in it', async () => {
    mkdirSync(join(folder, 'in/it'), { recursive: true })
    await rm(join(folder, 'in'), { recursive: true })
    rmSync(folder, { recursive: true })
    expect(existsSync(folder)).toBe(false)
  })
})
