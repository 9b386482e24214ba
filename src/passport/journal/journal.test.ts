import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { MemoryJournal } from '../../../test/support/journal-folder.ts'
import { Journal } from './journal.ts'
import { fileNameOf } from './journal-files.ts'
import { readJournal } from './read-journal.ts'
import { Sampler } from './sampler.ts'
import { type JournalVerdict, JournalVerifier, verifyJournal } from './verify-journal.ts'

const bootId = '11111111-2222-3333-4444-555555555555'

function verdictOn(files: ReadonlyMap<string, Uint8Array>): JournalVerdict {
  const verifier = new JournalVerifier()
  for (const [name, bytes] of [...files].sort(([left], [right]) => (left < right ? -1 : 1))) verifier.take(name, bytes)
  return verifier.verdict
}

const opened = (files: MemoryJournal, options: object = {}) =>
  Journal.open({ files, clock: new FakeClock(), bootId, keep: 100, ...options })

async function written(count: number, options: object = {}) {
  const files = new MemoryJournal()
  const journal = await opened(files, options)
  for (let at = 0; at < count; at++) {
    journal.note('issue', { at, nested: { text: 'ü\u2028"\\' } })
    if (at % 3 === 0) await journal.flush()
  }
  await journal.flush()
  return { files, journal }
}

/** The one file of a short journal. */
function onlyFile(files: MemoryJournal): readonly [string, Uint8Array] {
  const [file] = files.files
  if (file === undefined) throw new Error('no file')
  return file
}

const eventsIn = async (files: MemoryJournal) =>
  (await readJournal(files, 0)).lines.map((line) => (JSON.parse(line) as { event: string }).event)

const lineFeeds = (bytes: Uint8Array) => bytes.filter((byte) => byte === 0x0a).length

describe('the journal (BRK-120)', () => {
  it('is a chain that verifies, and goes on after a restart (I18)', async () => {
    const { files, journal } = await written(10)
    const again = await opened(files)
    again.note('start', {})
    await again.flush()
    const verdict = verdictOn(files.files)
    expect(verdict).toMatchObject({ records: 11, first: 1, broken: null, tornBytes: 0 })
    expect(verdict.head).toEqual({ seq: 11, hash: again.state.hash })
    expect(journal.state).toMatchObject({ seq: 10, failing: null, errors: 0, lost: 0 })
    const [first] = (await readJournal(files, 0)).lines
    const members = ['at', 'boot_id', 'boot_ms', 'event', 'hash', 'nested', 'prev', 'seq', 'wall']
    expect(Object.keys(JSON.parse(first ?? ''))).toEqual(members)
  })

  it('verifies whatever texts and whole numbers its entries have: they come from kernels, peers and tokens', async () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('\ud83d', 'a\udc00', '\0\u2028"'))
    const fact = fc.oneof(text, fc.maxSafeInteger(), fc.boolean(), fc.constant(null), fc.record({ unit: text }))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.stringMatching(/^[a-z_]{1,9}$/), fact, { maxKeys: 8 }), async (facts) => {
        const files = new MemoryJournal()
        const journal = await opened(files)
        journal.note('serve', facts)
        journal.note('serve', facts)
        await journal.flush()
        expect(verdictOn(files.files)).toMatchObject({ records: 2, broken: null })
      }),
      { numRuns: 200 },
    )
  })

  it('goes on in another file when one is full, with the chain continued, and keeps so many (BRK-122)', async () => {
    const { files } = await written(30, { rotateAt: 1000, keep: 3 })
    expect(files.files.size).toBe(3)
    const verdict = verdictOn(files.files)
    expect(verdict.broken).toBeNull()
    expect(verdict.head?.seq).toBe(30)
    expect(verdict.first).toBeGreaterThan(1)
    expect([...files.files.keys()].sort()[0]).toBe(fileNameOf(verdict.first ?? 0))
    for (const bytes of files.files.values()) expect(bytes.length).toBeLessThanOrEqual(1000)
  })

  it('cuts off what a kill left of a line, at whatever byte, and says so (BRK-122, I18)', async () => {
    const [name, bytes] = onlyFile((await written(3)).files)
    for (let length = 0; length <= bytes.length; length++) {
      const killed = new MemoryJournal()
      killed.files.set(name, bytes.slice(0, length))
      const journal = await opened(killed)
      journal.note('start', {})
      await journal.flush()
      const whole = lineFeeds(bytes.subarray(0, length))
      const torn = length > 0 && bytes[length - 1] !== 0x0a
      const { broken, records } = verdictOn(killed.files)
      expect([broken, records], `cut at ${length}`).toEqual([null, whole + (torn ? 2 : 1)])
      if (length % 97 === 0) {
        expect((await eventsIn(killed)).slice(whole)).toEqual(torn ? ['recovered', 'start'] : ['start'])
      }
    }
  })

  it('survives a kill at any byte of the first write of a new file', async () => {
    const { files } = await written(8, { rotateAt: 1000 })
    const last = [...files.files.keys()].sort().at(-1) ?? ''
    const bytes = files.files.get(last) ?? new Uint8Array()
    for (let length = 0; length < bytes.length; length += 7) {
      const killed = new MemoryJournal()
      for (const [name, content] of files.files) killed.files.set(name, content)
      killed.files.set(last, bytes.slice(0, length))
      const journal = await opened(killed, { rotateAt: 1000 })
      journal.note('start', {})
      await journal.flush()
      expect(verdictOn(killed.files).broken, `cut at ${length}`).toBeNull()
    }
  })

  it('does not hide a last line that somebody changed: it goes on, and the verifier names it', async () => {
    const { files } = await written(3)
    const [name, bytes] = onlyFile(files)
    const changed = Uint8Array.from(bytes)
    changed[changed.lastIndexOf(0x0a, changed.length - 2) + 5] = 0x78
    files.files.set(name, changed)
    const journal = await opened(files)
    journal.note('start', {})
    await journal.flush()
    expect(files.files.size).toBe(2)
    expect(verdictOn(files.files)).toMatchObject({ records: 2, broken: { file: name, line: 3 } })
    expect(journal.state.seq).toBe(5)
  })
})

describe('a full disk (BRK-124)', () => {
  it.each([0, 1, 50, 333])(
    'with room for %i bytes holds nobody up; all is written when there is room',
    async (room) => {
      const reports: (string | null)[] = []
      const { files } = await written(2)
      const journal = await opened(files, { report: (failing: string | null) => reports.push(failing) })
      files.room = room
      for (let at = 0; at < 5; at++) journal.note('issue', { at })
      await journal.flush()
      expect(journal.state).toMatchObject({ failing: 'FILE_UNUSABLE', errors: 1 })
      files.room = Number.POSITIVE_INFINITY
      await journal.flush()
      expect(journal.state).toMatchObject({ failing: null, errors: 1, lost: 0, seq: 7 })
      expect(verdictOn(files.files)).toMatchObject({ records: 7, broken: null, tornBytes: 0 })
      expect(reports).toEqual(['FILE_UNUSABLE', null])
    },
  )

  it('at the change of files leaves no file behind that breaks the chain', async () => {
    for (let room = 0; room < 600; room += 37) {
      const { files, journal } = await written(4, { rotateAt: 1500 })
      for (let at = 0; at < 4; at++) journal.note('issue', { at, text: 'x'.repeat(200) })
      files.room = room
      await journal.flush()
      files.room = Number.POSITIVE_INFINITY
      journal.note('serve', {})
      await journal.flush()
      const verdict = verdictOn(files.files)
      expect([verdict.broken, verdict.head?.seq], `room for ${room}`).toEqual([null, 9])
    }
  })

  it('that lasts costs memory for so many entries; the others are counted, in the journal as well', async () => {
    const files = new MemoryJournal()
    let failures = 0
    const journal = await opened(files, { failed: () => failures++ })
    files.room = 0
    for (let at = 0; at < 4096 + 10; at++) journal.note('issue', { at })
    await journal.flush()
    expect(failures).toBe(11)
    expect(journal.state.lost).toBe(10)
    files.room = Number.POSITIVE_INFINITY
    await journal.flush()
    expect(journal.state).toMatchObject({ lost: 0, seq: 4097 })
    expect(verdictOn(files.files).broken).toBeNull()
    const { lines } = await readJournal(files, 4096)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'lost', count: 10 })
  })

  it('is tried again by itself, and what is noted while nobody writes is written at once', async () => {
    const clock = new FakeClock()
    const files = new MemoryJournal()
    const journal = await opened(files, { clock })
    const stop = new AbortController()
    const running = journal.keepWriting(stop.signal)
    files.room = 0
    journal.note('issue', {})
    await clock.advance(1)
    expect(journal.state.failing).not.toBeNull()
    files.room = Number.POSITIVE_INFINITY
    await clock.advance(5_000)
    expect(journal.state).toMatchObject({ failing: null, seq: 1 })
    journal.note('issue', {})
    await clock.advance(1)
    expect(journal.state.seq).toBe(2)
    stop.abort()
    await running
  })
})

describe('the verifier (BRK-122)', () => {
  it('finds every changed byte, in the record in which it is', async () => {
    const [name, bytes] = onlyFile((await written(6)).files)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Uint8Array.from(bytes)
        changed[at] = (bytes[at] ?? 0) ^ change
        const { broken, records, tornBytes } = verdictOn(new Map([[name, changed]]))
        // Without its line feed the last record is one that is being written.
        if (at === bytes.length - 1) expect([broken, records, tornBytes > 0]).toEqual([null, 5, true])
        else expect([broken === null, records]).toEqual([false, lineFeeds(bytes.subarray(0, at))])
      }),
      { numRuns: 300 },
    )
  })

  it('never throws, whatever the files hold', () => {
    const names = fc.oneof(fc.nat().map(fileNameOf), fc.string())
    fc.assert(
      fc.property(fc.array(fc.tuple(names, fc.uint8Array({ maxLength: 300 }))), (files) => {
        const { broken, records } = verdictOn(new Map(files))
        expect(records).toBe(0)
        if (files.length > 0 && files.every(([, bytes]) => bytes.includes(0x0a))) expect(broken).not.toBeNull()
      }),
      { numRuns: 300 },
    )
  })

  it('sees records that are missing, doubled, exchanged, or moved to another file', async () => {
    const [name, bytes] = onlyFile((await written(6)).files)
    const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1)
    const arranged = (...order: number[]) =>
      new Map([[name, new TextEncoder().encode(order.map((at) => `${lines[at]}\n`).join(''))]])
    const lineOf = (map: Map<string, Uint8Array>) => verdictOn(map).broken?.line
    expect(lineOf(arranged(0, 1, 2, 3, 4, 5))).toBeUndefined()
    expect(lineOf(arranged(0, 1, 3, 4))).toBe(3)
    expect(lineOf(arranged(0, 1, 1, 2))).toBe(3)
    expect(lineOf(arranged(0, 2, 1, 3))).toBe(2)
    expect(lineOf(arranged(1, 2))).toBe(1)
    expect(lineOf(new Map([[fileNameOf(7), bytes]]))).toBe(1)
  })
})

describe('a journal that is written while it is verified', () => {
  /** As an agent that removes its oldest files, so many of them one by one, each just before it is read. */
  const rotating = async (times: number) => {
    const { files } = await written(30, { rotateAt: 1000 })
    const { read } = files
    let left = times
    files.read = async (name, maxBytes) => {
      if (left-- > 0) await files.remove(name)
      return read(name, maxBytes)
    }
    return files
  }

  it.each([1, 2, 4])('is not called broken because %i old files went meanwhile (BRK-122)', async (times) => {
    const files = await rotating(times)
    const [first] = (await files.list()).slice(times)
    const { broken, first: seq, head } = await verifyJournal(files)
    expect([broken, seq, head?.seq]).toEqual([null, Number(first?.slice(0, 16)), 30])
  })

  it('is looked at five times at most', async () => {
    const files = await rotating(5)
    expect((await verifyJournal(files)).broken?.line).toBe(0)
  })

  it('is broken as ever where a record was changed', async () => {
    const files = await rotating(1)
    const name = (await files.list()).at(-1) ?? ''
    const bytes = files.files.get(name) ?? new Uint8Array()
    files.files.set(name, bytes.with(20, (bytes[20] ?? 0) ^ 1))
    expect((await verifyJournal(files)).broken).toMatchObject({ file: name, line: 1 })
  })

  it('gives pages without the file that went', async () => {
    const files = await rotating(1)
    const { lines, broken } = await readJournal(files, 0)
    expect([broken, lines.length > 0, lines.length < 30]).toEqual([false, true, true])
  })
})

describe('pages', () => {
  it('give every record once, in order, from wherever one asks', async () => {
    const { files } = await written(30, { rotateAt: 1000 })
    const seen: number[] = []
    for (let since = 4; ; ) {
      const { lines, next, broken } = await readJournal(files, since)
      expect(broken).toBe(false)
      if (lines.length === 0) break
      seen.push(...lines.map((line) => JSON.parse(line).seq as number))
      since = next
    }
    expect(seen).toEqual(Array.from({ length: 26 }, (_, at) => at + 5))
    expect((await readJournal(files, 30)).lines).toEqual([])
    expect((await readJournal(files, 9e15)).lines).toEqual([])
  })
})

describe('what callers can repeat', () => {
  it('is written the first time, then counted (BRK-120)', () => {
    const noted: unknown[] = []
    const sampler = new Sampler({ note: (event, facts) => noted.push([event, facts]) })
    for (let at = 0; at < 1000; at++) sampler.note('a', 'serve', { who: 'a' })
    sampler.note('b', 'deny', { who: 'b' })
    expect(noted).toEqual([
      ['serve', { who: 'a' }],
      ['deny', { who: 'b' }],
    ])
    sampler.flush()
    expect(noted.splice(2)).toEqual([['serve_count', { who: 'a', count: 999 }]])
    sampler.note('b', 'deny', { who: 'b' })
    sampler.note('a', 'serve', { who: 'a' })
    sampler.flush()
    expect(noted.splice(2)).toEqual([
      ['deny', { who: 'b' }],
      ['serve_count', { who: 'a', count: 1 }],
    ])
  })

  it('takes memory for so many kinds only, and loses no count', () => {
    const noted: [string, number][] = []
    const sampler = new Sampler({ note: (event, { count }) => noted.push([event, Number(count ?? 1)]) })
    for (let round = 0; round < 2; round++) for (let at = 0; at < 5000; at++) sampler.note(`k${at}`, 'deny', {})
    sampler.flush()
    expect(noted.reduce((sum, [, count]) => sum + count, 0)).toBe(10_000)
  })
})
