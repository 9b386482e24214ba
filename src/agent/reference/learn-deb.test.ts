import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { learnDeb } from './learn-deb.ts'
import { Learning } from './learning.ts'

describe('members of a package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-deb-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  // Gives an archive in place of what a package holds: `dpkg-deb --build` names all members alike.
  const program = join(folder, 'unpack')
  writeFileSync(program, '#!/bin/sh\ncat "$2"\n')
  chmodSync(program, 0o755)

  async function learned(...names: readonly string[]): Promise<string[]> {
    const archive = join(folder, 'data.tar')
    for (const name of names) writeFileSync(join(folder, name), 'x')
    execFileSync('tar', ['-C', folder, '-P', '-cf', archive, ...names])
    const learning = new Learning()
    await learnDeb(archive, learning, { algorithm: 'sha256', executableOnly: false, mergedUsr: false }, program)
    return [...learning.collector.build().files.keys()].sort()
  }

  it('keep a dot that belongs to their name', async () => {
    expect(await learned('.hidden', './.other', './plain', '..two', 'a.b')).toEqual([
      '/..two',
      '/.hidden',
      '/.other',
      '/a.b',
      '/plain',
    ])
  })

  it('that leave the root are refused', async () => {
    await expect(learned(`../${folder.split('/').at(-1)}/plain`)).rejects.toThrow('is not a plain path')
  })
})
