import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { createLog, lineWriter, withoutRepeats } from './log.ts'

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

describe('lines that repeat (BRK-131)', () => {
  it('are written once in ten seconds, and the next one says how often it was left out', () => {
    let [now, written] = [0, '']
    const write = withoutRepeats(
      (line) => (written += line),
      () => now,
    )
    const line = (at: string, text = 'a') => `{"level":30,"time":"${at}","msg":"${text}"}\n`
    for (let n = 0; n < 5; n++) write(line(`t${n}`))
    write(line('t5', 'b'))
    expect(written).toBe(line('t0') + line('t5', 'b'))
    ;[now, written] = [9_999, '']
    write(line('t6'))
    expect(written).toBe('')
    now = 10_000
    write(line('t7'))
    write(line('t8'))
    expect(written).toBe('{"level":30,"time":"t7","msg":"a","repeated":5}\n')
    ;[now, written] = [20_000, '']
    write(line('t9'))
    expect(written).toBe('{"level":30,"time":"t9","msg":"a","repeated":1}\n')
  })

  it('are told apart by everything that they say but the time', () => {
    let written = ''
    const log = createLog('info', { journal: false, write: (line) => (written += line) })
    for (const code of ['X', 'Y', 'X']) log.warn({ code }, 'something')
    log.error({ code: 'X' }, 'something')
    expect(written.trim().split('\n')).toHaveLength(3)
  })

  it('are remembered within bounds', () => {
    let count = 0
    const write = withoutRepeats(
      () => count++,
      () => 0,
    )
    for (let n = 0; n < 1_000; n++) write(`line ${n % 257}\n`)
    expect(count).toBe(1_000)
    for (let n = 0; n < 1_000; n++) write(`line ${n % 256}\n`)
    expect(count).toBeLessThan(1_257)
  })
})
