import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { seededRandom } from '../../test/support/seeded-random.ts'
import { bootLogFiles } from './boot-log-files.ts'
import { runtimeLogFile } from './runtime-log-file.ts'
import { findRegisters, registerFiles } from './tdx-registers.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'attestd-tdx-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
const codeOf = (operation: Promise<unknown>) =>
  operation.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )

describe('the log of the firmware', () => {
  it('is read to its end, within its limit, or is not there', async () => {
    const place = folder()
    const paths = { ccelTable: join(place, 'CCEL'), ccelLog: join(place, 'data') }
    const { readTable, readLog } = bootLogFiles(paths)
    expect(await readTable()).toBeNull()
    expect(await readLog(100)).toBeNull()
    symlinkSync(paths.ccelTable, paths.ccelTable)
    expect(await codeOf(readTable())).toBe('ELOOP')
    rmSync(paths.ccelTable)
    writeFileSync(paths.ccelTable, Buffer.alloc(56, 1))
    writeFileSync(paths.ccelLog, Buffer.alloc(100, 2))
    expect(await readTable()).toEqual(new Uint8Array(56).fill(1))
    expect(await readLog(100)).toEqual(new Uint8Array(100).fill(2))
    expect(await codeOf(readLog(99))).toBe('EFBIG')
    writeFileSync(paths.ccelTable, Buffer.alloc(4097))
    expect(await codeOf(readTable())).toBe('EFBIG')
  })

  it('that is a named pipe is not waited for', async () => {
    const place = folder()
    const ccelLog = join(place, 'data')
    execFileSync('mkfifo', [ccelLog])
    expect(await bootLogFiles({ ccelTable: '', ccelLog }).readLog(10)).toHaveLength(0)
  })
})

describe('registers as files (TDX-030)', () => {
  const written = (path: string) => readFileSync(path)

  it('are read as 48 bytes, and written by 48 bytes at once', async () => {
    const place = folder()
    writeFileSync(join(place, 'rtmr3:sha384'), Buffer.alloc(48, 1))
    const registers = registerFiles(place)
    expect(await registers.read(3)).toEqual(new Uint8Array(48).fill(1))
    expect(await (await findRegisters({ measurements: place }, null))?.read(3)).toEqual(new Uint8Array(48).fill(1))
    await registers.extend(3, new Uint8Array(48).fill(2))
    expect(written(join(place, 'rtmr3:sha384'))).toEqual(Buffer.alloc(48, 2))
    await expect(registers.extend(3, new Uint8Array(47))).rejects.toThrow(TypeError)
    expect(await codeOf(registers.read(2))).toBe('ENOENT')
    expect(await codeOf(registers.extend(2, new Uint8Array(48)))).toBe('ENOENT')
    expect(existsSync(join(place, 'rtmr2:sha384'))).toBe(false)
    writeFileSync(join(place, 'rtmr2:sha384'), Buffer.alloc(49))
    expect(await codeOf(registers.read(2))).toBe('EFBIG')
  })
})

describe('the runtime log and its record', () => {
  const made = (path: string) => runtimeLogFile(path, seededRandom(1))

  it('come and go', async () => {
    const path = join(folder(), 'eventlog')
    const log = made(path)
    expect(await log.read(100)).toBeNull()
    expect(await log.readRecord()).toBeNull()
    await log.removeRecord()
    await log.writeRecord(Uint8Array.of(1))
    await log.writeRecord(Uint8Array.of(2, 3))
    expect(await log.readRecord()).toEqual(Uint8Array.of(2, 3))
    await log.writeAt(0, Uint8Array.of(1, 2, 3))
    await log.writeAt(3, Uint8Array.of(4, 5))
    expect(await log.read(5)).toEqual(Uint8Array.of(1, 2, 3, 4, 5))
    expect(await codeOf(log.read(4))).toBe('EFBIG')
    await log.removeRecord()
    expect(await log.readRecord()).toBeNull()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('half an entry is cut before the whole one is written', async () => {
    const path = join(folder(), 'eventlog')
    const log = made(path)
    await log.writeAt(0, Uint8Array.of(1, 2, 3))
    appendFileSync(path, Buffer.of(9, 9, 9, 9))
    await log.writeAt(3, Uint8Array.of(4))
    expect(await log.read(100)).toEqual(Uint8Array.of(1, 2, 3, 4))
  })

  it('the record is replaced as a whole: nothing else is left in the folder', async () => {
    const place = folder()
    const log = made(join(place, 'eventlog'))
    await log.writeRecord(new Uint8Array(60_000).fill(1))
    await log.writeRecord(Uint8Array.of(1))
    expect(readdirSync(place)).toEqual(['eventlog.pending'])
  })

  it.each(['eventlog', 'eventlog.pending'])('%s that others may write is refused', async (name) => {
    const place = folder()
    const log = made(join(place, 'eventlog'))
    writeFileSync(join(place, name), 'x')
    chmodSync(join(place, name), 0o622)
    expect(await codeOf(name === 'eventlog' ? log.read(100) : log.readRecord())).toBe('FILE_UNSAFE')
  })

  it('a symbolic link in place of the log is followed neither way', async () => {
    const place = folder()
    writeFileSync(join(place, 'target'), 'x')
    symlinkSync(join(place, 'target'), join(place, 'eventlog'))
    const log = made(join(place, 'eventlog'))
    expect(await codeOf(log.read(100))).toBe('FILE_UNSAFE')
    expect(await codeOf(log.writeAt(0, Uint8Array.of(1)))).toBe('FILE_UNSAFE')
    expect(readFileSync(join(place, 'target'), 'utf8')).toBe('x')
  })

  it('without their folder cannot be used, and say so', async () => {
    const log = made(join(folder(), 'missing/eventlog'))
    expect(await codeOf(log.writeRecord(Uint8Array.of(1)))).toBe('FILE_UNUSABLE')
    expect(await codeOf(log.writeAt(0, Uint8Array.of(1)))).toBe('FILE_UNUSABLE')
    expect(await log.read(10)).toBeNull()
    expect(await log.readRecord()).toBeNull()
  })
})
