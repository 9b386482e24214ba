import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readKernelCommandLine } from './kernel-command-line.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-cmdline-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const read = (content: string | Uint8Array) => {
  const path = join(folder, 'cmdline')
  writeFileSync(path, content)
  return readKernelCommandLine(path)
}

describe('the command line of the kernel', () => {
  it('is that of this machine, without its newline', async () => {
    expect(`${await readKernelCommandLine()}\n`).toBe(readFileSync('/proc/cmdline', 'utf8'))
  })

  it.each([
    ['with a newline', 'root=/dev/vda1 ro\n', 'root=/dev/vda1 ro'],
    ['with one of its own before it', 'a\n\n', 'a\n'],
    ['that is empty', '', ''],
    ['of the greatest length', `${'a'.repeat(4095)}\n`, 'a'.repeat(4095)],
    ['that is longer', 'a'.repeat(4097), null],
    ['that is not UTF-8', Uint8Array.of(0x61, 0xff), null],
    ['with a NUL', 'a\0b', null],
  ])('%s', async (_, content, text) => {
    expect(await read(content)).toBe(text)
  })

  it('is not there where nobody may read it', async () => {
    expect(await readKernelCommandLine(join(folder, 'absent'))).toBeNull()
    expect(await readKernelCommandLine(folder)).toBeNull()
  })
})
