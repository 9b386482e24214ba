import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { MemoryJournal } from '../../../test/support/journal-folder.ts'
import { AttestdError } from '../../base/errors.ts'
import { Journal } from './journal.ts'
import { JournalAnchor } from './journal-anchor.ts'
import { readJournal } from './read-journal.ts'
import { verifyJournal } from './verify-journal.ts'

const every = 64
const refusal = (code = 'rtmr_unsupported') =>
  new AttestdError(code, { kind: 'unsupported', title: 't', remedy: 'r' }, 'no register')

/** A journal whose heads go into a register that can refuse. */
async function rig(files = new MemoryJournal()) {
  const clock = new FakeClock()
  const anchors: JournalAnchor[] = []
  const bootId = '11111111-2222-3333-4444-555555555555'
  const journal = await Journal.open({
    ...{ files, clock, bootId, keep: 10 },
    written: (head) => {
      for (const anchor of anchors) anchor.written(head)
    },
  })
  const extended: string[] = []
  const told: (string | null)[] = []
  const register = { refuses: null as Error | null, hangs: false }
  const anchor = new JournalAnchor({
    ...{ journal, clock, every, register: 'rtmr3' },
    extend: async (content) => {
      if (register.refuses !== null) throw register.refuses
      if (register.hangs) await new Promise(() => undefined)
      extended.push(content)
      return { digest: Uint8Array.of(0xab), logIndex: extended.length - 1 }
    },
    report: (failing) => void told.push(failing),
  })
  anchors.push(anchor)
  const stop = new AbortController()
  const keeping = anchor.keepAnchored(stop.signal)
  keeping.catch(() => undefined)
  const write = async (records: number) => {
    for (let at = 0; at < records; at++) journal.note('issue', { at })
    await journal.flush()
    await settled()
  }
  const records = async () =>
    (await readJournal(files, 0)).lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  const stopped = async () => {
    stop.abort(new Error('stop'))
    await keeping
  }
  return { clock, files, journal, anchor, extended, told, register, write, records, stopped }
}

describe('an anchored journal (BRK-123)', () => {
  it('puts its head into the register each time that so many records were written, and tells of it', async () => {
    const { write, extended, records, files, anchor, stopped } = await rig()
    await write(every - 1)
    expect(extended).toEqual([])
    await write(1)
    const [, hash] = extended[0]?.split(' ') ?? []
    expect(extended).toEqual([`${every} ${hash}`])
    expect((await records())[every - 1]?.['hash']).toBe(hash)
    await write(0)
    const told = { register: 'rtmr3', head_seq: every, head_hash: hash, digest: 'ab', log_index: 0 }
    expect((await records()).at(-1)).toMatchObject({ event: 'anchor', ...told })
    expect(await verifyJournal(files)).toMatchObject({
      broken: null,
      anchors: 1,
      anchored: { seq: every + 1, register: 'rtmr3', headSeq: every, headHash: hash },
    })
    expect(anchor.state).toEqual({ seq: every, failing: null })
    for (let round = 0; round < 3; round++) await write(every)
    expect(extended.length).toBeGreaterThan(1)
    const all = await records()
    for (const content of extended) {
      const [seq = '', hash] = content.split(' ')
      expect(all[Number(seq) - 1]?.['hash']).toBe(hash)
    }
    await stopped()
  })

  it('is anchored where it is due after a restart, however few records each run writes', async () => {
    const files = new MemoryJournal()
    const counts = []
    for (let run = 0; run < 4; run++) {
      const { write, extended, stopped } = await rig(files)
      await write(every / 2 - 1)
      counts.push(extended.length)
      await stopped()
    }
    expect(counts).toEqual([0, 0, 1, 0])
  })

  it('goes on while the register cannot be extended, says so once, and tries again after a minute', async () => {
    const { write, clock, extended, told, register, records, anchor, stopped } = await rig()
    register.refuses = refusal()
    await write(every)
    await write(every)
    await clock.advance(59_000)
    expect([extended, told, anchor.state]).toEqual([
      [],
      ['rtmr_unsupported'],
      { seq: null, failing: 'rtmr_unsupported' },
    ])
    register.refuses = null
    await write(1)
    expect(extended).toEqual([])
    await clock.advance(2_000)
    await write(0)
    const all = await records()
    expect(all.filter(({ event }) => event === 'anchor_failed')).toHaveLength(1)
    // The head of now: what was due meanwhile is in it.
    expect(extended).toEqual([expect.stringMatching(new RegExp(`^${2 * every + 2} `))])
    expect(told).toEqual(['rtmr_unsupported', null])
    await stopped()
  })

  it('says each cause once, however often it is tried', async () => {
    const { write, clock, register, records, told, anchor, stopped } = await rig()
    register.refuses = refusal()
    await write(every)
    await clock.advance(61_000)
    register.refuses = refusal('quote_stuck')
    await clock.advance(61_000)
    expect(anchor.state.failing).toBe('quote_stuck')
    await write(0)
    const failed = (await records()).filter(({ event }) => event === 'anchor_failed')
    expect(failed.map(({ code }) => code)).toEqual(['rtmr_unsupported', 'quote_stuck'])
    expect(told).toEqual(['rtmr_unsupported'])
    await stopped()
  })

  it('ends at once though a device hangs, and a bug of the register is not hidden', async () => {
    const hanging = await rig()
    hanging.register.hangs = true
    await hanging.write(every)
    await hanging.stopped()
    const broken = await rig()
    broken.register.refuses = new TypeError('a bug')
    await broken.write(every)
    await expect(broken.stopped()).rejects.toThrow('a bug')
  })
})
