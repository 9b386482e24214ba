import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readInput } from './input-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-input-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('an input file', () => {
  it('is read up to its limit', async () => {
    const path = join(folder, 'four')
    writeFileSync(path, 'abcd')
    expect(await readInput(path, 4)).toEqual(new TextEncoder().encode('abcd'))
    await expect(readInput(path, 3)).rejects.toMatchObject({
      ...{ code: 'INPUT_UNREADABLE', message: `${path}: has more than 3 bytes` },
      remedy: expect.stringContaining('the file you meant'),
    })
  })

  it('that cannot be read is said in words, with the name of the errno', async () => {
    symlinkSync('circle', join(folder, 'circle'))
    const cases = [
      [join(folder, 'none'), 'does not exist (ENOENT)'],
      [folder, 'is a directory (EISDIR)'],
      [join(folder, 'circle'), 'symbolic links lead around in a circle (ELOOP)'],
    ] as const
    for (const [path, says] of cases) {
      await expect(readInput(path)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE', message: `${path}: ${says}` })
    }
  })
})
