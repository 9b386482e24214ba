import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

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
  ])('is not %j', async (path) => {
    const options = { recursive: true, force: true }
    expect(() => rmSync(path, options)).toThrow('is no folder of a test')
    await expect(rm(path, options)).rejects.toThrow('is no folder of a test')
    expect(existsSync(folder)).toBe(true)
  })

  it('is a folder of a test, and what is in it', async () => {
    mkdirSync(join(folder, 'in/it'), { recursive: true })
    await rm(join(folder, 'in'), { recursive: true })
    rmSync(folder, { recursive: true })
    expect(existsSync(folder)).toBe(false)
  })
})
