import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { concatBytes } from '../base/bytes.ts'
import { encode, sizedBytes, u32le } from '../base/layout.ts'
import { ImaLogFile, type ImaLogSection } from './ima-log-file.ts'

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

describe.each(['folder', 'pipe'])('a %s in the place of a log', (kind) => {
  it('is refused, and nobody waits for it', async () => {
    if (kind === 'folder') mkdirSync(path)
    else execFileSync('mkfifo', [path])
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
    const two = { from: 0, column: 'sha1', records: 2, continues: false, data: concatBytes(...records.slice(0, 2)) }
    expect(await log.readFrom(0)).toEqual(two)
    expect((await log.readFrom(1))?.data).toEqual(records[1])
    expect((await log.readFrom(2))?.data).toHaveLength(0)
    appendFileSync(path, records[2] ?? '')
    expect(await log.readFrom(2)).toMatchObject({ from: 2, records: 1, data: records[2] })
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

/** A file as one value: sections from its beginning to its end, each of at most `most` bytes. */
async function sectionsOf(log: ImaLogFile, most: number): Promise<ImaLogSection[]> {
  const sections: ImaLogSection[] = []
  for (let from = 0; ; ) {
    const section = await log.readFrom(from, most)
    if (section === null) return sections
    sections.push(section)
    if (!section.continues) return sections
    from = section.from + section.records
  }
}

/** Without the report of a difference, which takes a second for a megabyte. */
const same = (left: Uint8Array | undefined, right: Uint8Array | undefined) =>
  left !== undefined && right !== undefined && Buffer.compare(left, right) === 0

describe('an IMA log in sections', () => {
  const numbered = (count: number, size = 100) =>
    Array.from({ length: count }, (_, at) => record(`${at}`.padStart(size, '.')))

  it('has every record once, in order, and says where it goes on', async () => {
    const records = numbered(5000)
    writeFileSync(path, concatBytes(...records))
    await using log = new ImaLogFile({ path })
    const sections = await sectionsOf(log, 100_000)
    expect(same(concatBytes(...sections.map(({ data }) => data)), concatBytes(...records))).toBe(true)
    expect(sections.every(({ data }) => data.length <= 100_000)).toBe(true)
    expect(sections.map(({ continues }) => continues)).toEqual(sections.map((_, at) => at < sections.length - 1))
    expect(sections.length).toBe(Math.ceil(5000 / Math.floor(100_000 / (records[0]?.length ?? 1))))
  })

  it.each([
    [-1, 2],
    [0, 1],
    [1, 1],
  ])('of the length of a section and %i bytes are %i', async (more, count) => {
    const records = numbered(10)
    writeFileSync(path, concatBytes(...records))
    await using log = new ImaLogFile({ path })
    expect(await sectionsOf(log, concatBytes(...records).length + more)).toHaveLength(count)
  })

  it('that ends with its last section goes on when the kernel adds a record', async () => {
    const records = numbered(3)
    const size = records[0]?.length ?? 0
    writeFileSync(path, concatBytes(...records.slice(0, 2)))
    await using log = new ImaLogFile({ path })
    expect(await log.readFrom(0, 2 * size)).toMatchObject({ records: 2, continues: false })
    appendFileSync(path, records[2] ?? '')
    expect(await log.readFrom(0, 2 * size)).toMatchObject({ records: 2, continues: true })
    expect(await log.readFrom(2, 2 * size)).toMatchObject({ records: 1, continues: false, data: records[2] })
  })

  it('has a record that is longer than a section in one of its own', async () => {
    const records = [record('a'), record('b'.repeat(300_000)), record('c')]
    writeFileSync(path, concatBytes(...records))
    await using log = new ImaLogFile({ path })
    const sections = await sectionsOf(log, 100)
    expect(sections.map(({ data }, at) => same(data, records[at]))).toEqual([true, true, true])
  })

  it('whose file is another one now begins at its first record', async () => {
    writeFileSync(path, concatBytes(...numbered(1000)))
    await using log = new ImaLogFile({ path })
    await log.readFrom(0)
    const other = concatBytes(...numbered(2000, 79))
    writeFileSync(path, other)
    const section = await log.readFrom(1000)
    expect(section).toMatchObject({ from: 0, records: 2000 })
    expect(same(section?.data, other)).toBe(true)
  })

  it('refuses lengths that no record has, and names the record as it is counted since boot', async () => {
    const long = concatBytes(
      record('a'),
      encode(u32le, 10),
      new Uint8Array(20),
      encode(u32le, 256),
      new Uint8Array(300),
    )
    const empty = concatBytes(record('a'), encode(u32le, 10), new Uint8Array(20), encode(u32le, 0))
    const big = concatBytes(record('a'), record('b').subarray(0, 34), encode(u32le, (16 << 20) + 1))
    for (const [bytes, problem] of [
      [long, 'ima.records.1: template name of 256 bytes'],
      [empty, 'ima.records.1: template name of 0 bytes'],
      [big, 'ima.records.1: template data of 16777217 bytes'],
    ] as const) {
      writeFileSync(path, bytes)
      await using log = new ImaLogFile({ path })
      await expect(log.readFrom(0)).rejects.toThrow(problem)
    }
  })

  it('gives what the file holds, whatever is asked for and whatever is added between (TPM-09)', async () => {
    const step = fc.oneof(
      fc.record({ add: fc.array(fc.nat(400_000), { minLength: 1, maxLength: 6 }) }),
      fc.record({ from: fc.nat(40), most: fc.constantFrom(1, 50, 3000, 70_000, 1 << 20, 3 << 20) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        let records = [record('boot_aggregate')]
        writeFileSync(path, concatBytes(...records))
        await using log = new ImaLogFile({ path })
        for (const taken of steps) {
          if ('add' in taken) {
            const added = taken.add.map((size, at) => record(`${records.length + at}`.padEnd(size, 'x')))
            records = [...records, ...added]
            appendFileSync(path, concatBytes(...added))
            continue
          }
          const section = await log.readFrom(taken.from, taken.most)
          const start = taken.from <= records.length ? taken.from : 0
          expect(section?.from).toBe(start)
          const count = section?.records ?? 0
          const given = concatBytes(...records.slice(start, start + count))
          expect(same(section?.data, given)).toBe(true)
          expect(section?.continues).toBe(start + count < records.length)
          if (count > 1) expect(given.length).toBeLessThanOrEqual(taken.most)
          if (section?.continues) {
            expect(count).toBeGreaterThan(0)
            const next = records[start + count]?.length ?? 0
            if (count > 1) expect(given.length + next).toBeGreaterThan(taken.most)
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})
