import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { quoteServicePort } from './td.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-td-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the port of the quoting service', () => {
  it('is read where there is one, and nothing is said where there is no file (TDX-016)', async () => {
    writeFileSync(join(folder, 'conf'), 'port = 4050\n')
    const told: string[] = []
    const port = (name: string) => quoteServicePort(join(folder, name), (message) => void told.push(message))
    expect([await port('conf'), await port('none'), told]).toEqual([4050, null, []])
  })

  it.each([
    ['a link to itself', (path: string) => symlinkSync(path, path), 'open failed with ELOOP'],
    ['a file without end', (path: string) => writeFileSync(path, Buffer.alloc(65_537)), 'read failed with EFBIG'],
  ])('is none, and that is told, where the file is %s', async (name, put, says) => {
    const path = join(folder, name)
    put(path)
    const told: string[] = []
    expect(await quoteServicePort(path, (message) => void told.push(message))).toBe(null)
    expect(told).toEqual([`${path}: ${says}; no quote is asked for by vsock`])
  })
})
