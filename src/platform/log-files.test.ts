import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { concatBytes } from '../base/bytes.ts'
import { encode, sizedBytes, u32le } from '../base/layout.ts'
import { ImaLogFile, readEventLog } from './log-files.ts'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-logs-'))
  path = join(folder, 'log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const record = (text: string, template = 'ima-ng') =>
  concatBytes(
    encode(u32le, 10),
    new Uint8Array(20).fill(1),
    encode(sizedBytes(u32le), new TextEncoder().encode(template)),
    encode(sizedBytes(u32le), new TextEncoder().encode(text)),
  )

describe('the event log', () => {
  it('is read to its end, whatever stat says of its size (TPM-08)', async () => {
    // The file system of processes says size 0, as that of the kernel's logs does.
    expect(await readEventLog('/proc/version')).toEqual(new Uint8Array(readFileSync('/proc/version')))
  })

  it('of several hundred kilobytes is read whole', async () => {
    const bytes = Uint8Array.from({ length: 300_001 }, (_, at) => at % 251)
    writeFileSync(path, bytes)
    expect(await readEventLog(path)).toEqual(bytes)
  })

  it('that is absent is null', async () => {
    expect(await readEventLog(path)).toBe(null)
  })

  it('is refused above its limit, not at it', async () => {
    writeFileSync(path, new Uint8Array(100))
    expect(await readEventLog(path, 100)).toHaveLength(100)
    await expect(readEventLog(path, 99)).rejects.toMatchObject({ code: 'eventlog_unreadable', facts: { limit: 99 } })
  })

  it('that cannot be read is an error with its reason, not an absent log', async () => {
    writeFileSync(path, '')
    const below = join(path, 'log')
    await expect(readEventLog(below)).rejects.toMatchObject({
      code: 'eventlog_unreadable',
      facts: { errno: 'ENOTDIR' },
    })
  })
})

describe.each(['folder', 'pipe'])('a %s in the place of a log', (kind) => {
  it('is refused, and nobody waits for it', async () => {
    if (kind === 'folder') mkdirSync(path)
    else execFileSync('mkfifo', [path])
    await expect(readEventLog(path)).rejects.toMatchObject({ code: 'eventlog_unreadable', facts: { path } })
    await using log = new ImaLogFile({ path })
    await expect(log.readFrom(0)).rejects.toMatchObject({ code: 'ima_unreadable', facts: { path } })
    rmSync(path, { recursive: true })
    expect(await log.readFrom(0)).toBeNull()
  })
})

describe('the IMA log', () => {
  it('gives all records, or those from a number on, with what was added meanwhile (TPM-09)', async () => {
    const records = ['boot_aggregate', '/init', '/usr/bin/x'].map((text) => record(text))
    writeFileSync(path, concatBytes(...records.slice(0, 2)))
    await using log = new ImaLogFile({ path })
    expect(await log.readFrom(0)).toEqual({ from: 0, column: 'sha1', data: concatBytes(...records.slice(0, 2)) })
    expect((await log.readFrom(1))?.data).toEqual(records[1])
    expect((await log.readFrom(2))?.data).toHaveLength(0)
    appendFileSync(path, records[2] ?? '')
    expect(await log.readFrom(2)).toEqual({ from: 2, column: 'sha1', data: records[2] })
    expect((await log.readFrom(0))?.data).toEqual(concatBytes(...records))
  })

  it('from a record that this boot has not reached is the whole log', async () => {
    writeFileSync(path, record('boot_aggregate'))
    await using log = new ImaLogFile({ path })
    expect(await log.readFrom(2)).toMatchObject({ from: 0, data: record('boot_aggregate') })
  })

  it('counts legacy records, whose length is written elsewhere', async () => {
    const legacy = concatBytes(
      encode(u32le, 10),
      new Uint8Array(20),
      encode(sizedBytes(u32le), new TextEncoder().encode('ima')),
      new Uint8Array(20),
      encode(sizedBytes(u32le), new TextEncoder().encode('/bin/sh')),
    )
    writeFileSync(path, concatBytes(legacy, record('x'), legacy))
    await using log = new ImaLogFile({ path })
    expect((await log.readFrom(1))?.data).toEqual(concatBytes(record('x'), legacy))
    expect((await log.readFrom(2))?.data).toEqual(legacy)
  })

  it('answers readers that come at once in turn', async () => {
    writeFileSync(path, concatBytes(record('a'), record('b')))
    await using log = new ImaLogFile({ path })
    const parts = await Promise.all([0, 1, 0, 1].map((from) => log.readFrom(from)))
    expect(parts.map((part) => part?.data.length)).toEqual(
      [82, 41, 82, 41].map((size) => (size / 41) * record('a').length),
    )
  })

  it('that is absent is null, and is found when it appears', async () => {
    await using log = new ImaLogFile({ path })
    expect(await log.readFrom(0)).toBe(null)
    writeFileSync(path, record('boot_aggregate'))
    expect((await log.readFrom(0))?.from).toBe(0)
  })

  it.each([
    ['is cut', concatBytes(record('a'), record('b').subarray(0, 30)), 'MALFORMED'],
    ['is above its limit', new Uint8Array(1001), 'ima_unreadable'],
  ])('that %s is an error, and the next read begins again', async (_what, bytes, code) => {
    writeFileSync(path, bytes)
    await using log = new ImaLogFile({ path, limit: 1000 })
    await expect(log.readFrom(0)).rejects.toMatchObject({ code })
    await expect(log.readFrom(0)).rejects.toMatchObject({ code })
    writeFileSync(path, record('a'))
    expect((await log.readFrom(0))?.data).toEqual(record('a'))
  })

  it('that grows beyond its limit is refused, counted over all reads', async () => {
    const one = record('a')
    writeFileSync(path, one)
    await using log = new ImaLogFile({ path, limit: 2 * one.length })
    await log.readFrom(0)
    appendFileSync(path, one)
    expect((await log.readFrom(0))?.data).toHaveLength(2 * one.length)
    appendFileSync(path, one)
    await expect(log.readFrom(0)).rejects.toMatchObject({ code: 'ima_unreadable' })
  })
})
