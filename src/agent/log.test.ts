import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { createLog, lineWriter } from './log.ts'

/** Both ends of a pipe, which holds 64 KiB; writing into a full one would wait, and here fails instead. */
function openPipe(): { readonly reading: number; readonly writing: number } {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'pipe')
  expect(openLibrary(null).bind('mkfifo', 'i32', ['text', 'u32'])(path, 0o600)).toBe(0)
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return { reading, writing: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) }
}

describe('the log', () => {
  it('begins each line with its priority under the service manager, and never holds a token', () => {
    let written = ''
    const log = createLog('info', { journal: true, write: (line) => (written += line) })
    log.warn({ code: 'X', token: 'eyJ.secret.sig', caller: { nonce: 'n-secret' } }, 'something')
    log.debug('not at this level')
    expect(written).toMatch(/^<4>\{"level":40,"code":"X","caller":\{\},"msg":"something"\}\n$/)
  })
})

describe('lines for a descriptor', () => {
  it('are lost while the disk is full, and the log goes on', () => {
    const full = openSync('/dev/full', 'w')
    const log = createLog('info', { journal: false, write: lineWriter(full) })
    log.info('lost')
    log.info('lost as well')
    closeSync(full)
  })

  it('are lost while nobody reads, and are written again as soon as somebody does', () => {
    const { reading, writing } = openPipe()
    const write = lineWriter(writing)
    const read = () => readSync(reading, Buffer.alloc(1 << 20))
    for (let line = 0; line < 100; line++) write(`${'x'.repeat(1023)}\n`)
    expect(read()).toBe(64 * 1024)
    write('again\n')
    expect(read()).toBe(6)
    closeSync(reading)
    write('nobody reads any more\n')
    closeSync(writing)
  })

  it('for a descriptor that is no number are a bug', () => {
    expect(() => lineWriter(Number.NaN)('line')).toThrow()
  })
})
