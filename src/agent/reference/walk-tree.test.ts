import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { hashFile } from './hash-file.ts'
import { forEachAtOnce, type TreeEntry, type TreeOptions, walkTree } from './walk-tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-walk-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function entriesOf(root: string, options?: TreeOptions): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = []
  for await (const entry of walkTree(root, options)) entries.push(entry)
  return entries
}

const deviceOf = (path: string) => {
  try {
    return lstatSync(path).dev
  } catch {
    return null
  }
}

describe('a tree', () => {
  it('is walked in a fixed order, excluded folders as one', async () => {
    for (const path of ['b/x', 'a/y', 'a/skip/z']) {
      mkdirSync(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), '')
    }
    const entries = await entriesOf(folder, { isExcluded: (name) => name === '/a/skip' })
    expect(entries.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['file /b/x', 'excluded /a/skip', 'file /a/y'])
  })

  it.skipIf(deviceOf('/dev/pts') === deviceOf('/dev'))('ends where another file system begins', async () => {
    const names = (await entriesOf('/dev')).filter(({ kind }) => kind === 'other-file-system').map(({ name }) => name)
    expect(names).toContain('/pts')
    const crossed = await entriesOf('/dev', { crossFileSystems: true, isExcluded: (name) => name === '/shm' })
    expect(crossed.map(({ kind }) => kind)).not.toContain('other-file-system')
  })

  it('is worked on a few items at a time, each once', async () => {
    const items = Array.from({ length: 100 }, (_none, index) => index)
    const done: number[] = []
    let [running, most] = [0, 0]
    const work = async (item: number) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      done.push(item)
    }
    await forEachAtOnce(
      (async function* () {
        yield* items
      })(),
      work,
    )
    expect(done.sort((left, right) => left - right)).toEqual(items)
    expect(most).toBe(8)
  })

  it('whose work fails ends with that failure', async () => {
    const forever = (async function* (): AsyncGenerator<number, void> {
      for (;;) yield 1
    })()
    await expect(forEachAtOnce(forever, () => Promise.reject(new TypeError('a bug')))).rejects.toThrow('a bug')
  })
})

describe('what is no file', () => {
  it.each([
    ['/dev/null', 'special'],
    [folder, 'special'],
    ['/nowhere', 'unreadable'],
    ['/proc/self/exe', 'unreadable'],
  ])('%s is %s', async (path, outcome) => {
    expect((await hashFile(Buffer.from(path), ['sha256'])).outcome).toBe(outcome)
  })

  it('a file of proc, longer than its size says, is not learned', async () => {
    expect((await hashFile(Buffer.from('/proc/self/status'), ['sha256'])).outcome).toBe('changed')
  })
})
