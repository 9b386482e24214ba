import { describe, expect, it } from 'vitest'
import { codeOf, compareLog, runToEnd, tdxGuestRig } from '../../../test/support/tdx-guest-rig.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { parseQuote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { attesterErrors } from '../errors.ts'
import type { QuotePath } from './quote-path.ts'
import { createTdxAttester, type TdxAttesterOptions } from './tdx-attester.ts'

const reportData = Uint8Array.from({ length: 64 }, (_, at) => 255 - at)
type Rig = ReturnType<typeof tdxGuestRig>

const collect = (rig: Rig, data: Uint8Array = reportData) => runToEnd(rig.clock, rig.attester.collect(data))

/** Counts the quotes that the host makes, and lets the test act at each. */
function countQuotes(rig: Rig, act: (quote: number) => void = () => undefined) {
  const seen = { quotes: 0 }
  const { readAll } = rig.kernel.files
  rig.kernel.files.readAll = async (name, attribute, limit) => {
    const read = await readAll.call(rig.kernel.files, name, attribute, limit)
    if (attribute === 'outblob') act(++seen.quotes)
    return read
  }
  return seen
}

/** An attester with the rig's logs and other ways to a quote. */
function attesterWith(rig: Rig, more: Partial<TdxAttesterOptions>) {
  const { registers, bootLog, runtimeLog } = rig.kernel
  const { clock } = rig
  return createTdxAttester({ paths: [rig.path], registers, bootLog, runtimeLog, compareLog, clock, ...more })
}

describe('TDX evidence', () => {
  it('is a quote over the report data and a log that leads to its registers', async () => {
    const rig = tdxGuestRig()
    const { value } = await collect(rig)
    expect(value).toMatchObject({
      quotePath: 'configfs-tsm',
      simulated: false,
      logMatches: true,
      differingRegisters: [],
      rtmr3Unaccounted: false,
      logProblem: null,
    })
    const quote = parseQuote(value?.quote ?? new Uint8Array())
    expect(reportDataOf(quote)).toEqual(reportData)
    const log = value?.ccEventLog ?? new Uint8Array()
    expect([...log.subarray(-8)]).toEqual(Array(8).fill(0xff))
    const { events, end } = parseCcEventLog(log)
    expect(end).toBe('ff')
    expect(events.at(-1)?.pcr).toBe(4)
    if (quote.body.kind === 'sgx') throw new Error('not a TD')
    expect(compareLog(log, quote.body.report.rtmr)).toEqual({ differing: [] })
  })

  it('says that it is simulated where it is', async () => {
    const rig = tdxGuestRig({ attester: { simulated: true } })
    expect((await collect(rig)).value?.simulated).toBe(true)
  })

  it('is not collected over anything but 64 bytes', async () => {
    await expect(tdxGuestRig().attester.collect(new Uint8Array(32))).rejects.toThrow(TypeError)
  })

  it('is over the bytes that were given, whatever becomes of their array', async () => {
    const rig = tdxGuestRig()
    const own = Uint8Array.from(reportData)
    const answer = rig.attester.collect(own)
    own.fill(0)
    const { value } = await runToEnd(rig.clock, answer)
    expect(reportDataOf(parseQuote(value?.quote ?? new Uint8Array()))).toEqual(reportData)
  })

  it('has null in place of a log where the machine keeps none (TDX-022)', async () => {
    const rig = tdxGuestRig({ boot: null, runtime: [] })
    const { value } = await collect(rig)
    expect(value).toMatchObject({ ccEventLog: null, logMatches: null, logProblem: null })
  })

  it('of 20 equal requests in the queue needs one quote', async () => {
    const rig = tdxGuestRig()
    rig.kernel.files.quoteDelayMs = 1000
    const seen = countQuotes(rig)
    const first = rig.attester.collect(new Uint8Array(64))
    const others = Array.from({ length: 20 }, () => rig.attester.collect(reportData))
    const { value, tookMs } = await runToEnd(rig.clock, Promise.all([first, ...others]), 500)
    expect(seen.quotes).toBe(2)
    expect(tookMs).toBe(2000)
    expect(new Set(value?.slice(1)).size).toBe(1)
  })

  it('fails at its deadline when the host is silent; the entry goes when the kernel lets go', async () => {
    const rig = tdxGuestRig()
    rig.kernel.files.quoteDelayMs = 60_000
    const { error, tookMs } = await runToEnd(rig.clock, rig.attester.collect(reportData), 1000)
    expect(codeOf(error)).toBe('quote_timeout')
    expect(tookMs).toBe(35_000)
    expect(rig.attester.state()).toEqual({ queued: 0, stuck: true, inFlightMs: 35_000 })
    await expect(rig.attester.collect(reportData)).rejects.toMatchObject({ code: 'quote_stuck' })
    expect(await rig.kernel.files.list()).toHaveLength(1)
    await rig.clock.advance(25_000)
    expect(await rig.kernel.files.list()).toEqual([])
    expect(rig.attester.state()).toEqual({ queued: 0, stuck: false, inFlightMs: null })
    rig.kernel.files.quoteDelayMs = 0
    expect((await collect(rig)).error).toBeUndefined()
  })
})

describe('quote and logs are of one moment (TDX-023)', () => {
  it('an extension between them has both taken again, once', async () => {
    const rig = tdxGuestRig()
    const seen = countQuotes(rig, (quote) => {
      if (quote === 1) rig.kernel.measure({ domain: 'test', operation: 'load', content: 'late' })
    })
    const { value } = await collect(rig)
    expect(seen.quotes).toBe(2)
    expect(value?.logMatches).toBe(true)
  })

  it('a difference that stays is told with its registers', async () => {
    const rig = tdxGuestRig()
    rig.kernel.rtmrs.extend(2, new Uint8Array(48).fill(1))
    rig.kernel.rtmrs.extend(3, new Uint8Array(48).fill(1))
    const seen = countQuotes(rig)
    const { value } = await collect(rig)
    expect(seen.quotes).toBe(2)
    expect(value).toMatchObject({ logMatches: false, differingRegisters: [2, 3], rtmr3Unaccounted: false })
    expect(value?.ccEventLog).not.toBeNull()
  })

  it('a difference of RTMR 3 alone is one that nobody accounts for (TDX-024)', async () => {
    const rig = tdxGuestRig()
    rig.kernel.rtmrs.extend(3, new Uint8Array(48).fill(1))
    const { value } = await collect(rig)
    expect(value).toMatchObject({ logMatches: false, differingRegisters: [3], rtmr3Unaccounted: true })
  })

  it('the same difference costs a second quote once, and another one again', async () => {
    const rig = tdxGuestRig()
    rig.kernel.rtmrs.extend(3, new Uint8Array(48).fill(1))
    const seen = countQuotes(rig)
    await collect(rig)
    expect(seen.quotes).toBe(2)
    expect((await collect(rig)).value?.logMatches).toBe(false)
    expect(seen.quotes).toBe(3)
    rig.kernel.rtmrs.extend(3, new Uint8Array(48).fill(2))
    await collect(rig)
    expect(seen.quotes).toBe(5)
    rig.kernel.measure({ domain: 'test', operation: 'load', content: 'another record' })
    await collect(rig)
    expect(seen.quotes).toBe(7)
  })

  it('an extension through the attester waits for a quote in flight, and the other way round', async () => {
    const rig = tdxGuestRig()
    rig.kernel.files.quoteDelayMs = 1000
    const order: string[] = []
    const note = (what: string) => () => {
      order.push(what)
    }
    const all = Promise.all([
      rig.attester.collect(reportData).then((evidence) => {
        expect(evidence.logMatches).toBe(true)
        order.push('quote')
      }),
      rig.attester.extend({ domain: 'test', operation: 'load', content: 'x' }).then(note('extension')),
      rig.attester.collect(new Uint8Array(64)).then((evidence) => {
        expect(evidence.logMatches).toBe(true)
        order.push('quote')
      }),
    ])
    const { error } = await runToEnd(rig.clock, all)
    expect(error).toBeUndefined()
    expect(order).toEqual(['quote', 'extension', 'quote'])
  })
})

describe('logs that are not as they should be', () => {
  const broken = new Uint8Array(100)

  it('go along as they are, with the problem', async () => {
    const rig = tdxGuestRig()
    const { value } = await runToEnd(
      rig.clock,
      attesterWith(rig, { bootLog: { ...rig.kernel.bootLog, readLog: async () => broken } }).collect(reportData),
    )
    expect(value).toMatchObject({ ccEventLog: broken, logMatches: false, differingRegisters: [] })
    expect(value?.logProblem).toContain('Spec ID')
  })

  it('of another kind of TEE are not taken for ours', async () => {
    const rig = tdxGuestRig()
    const table = Uint8Array.from((await rig.kernel.bootLog.readTable()) ?? [])
    table[36] = 1
    const bootLog = { ...rig.kernel.bootLog, readTable: async () => table }
    const { value } = await runToEnd(rig.clock, attesterWith(rig, { bootLog }).collect(reportData))
    expect(value?.logProblem).toContain('type 1')
  })

  it('with a table that is none', async () => {
    const rig = tdxGuestRig({ runtime: [] })
    const bootLog = { ...rig.kernel.bootLog, readTable: async () => new Uint8Array(55) }
    const { value } = await runToEnd(rig.clock, attesterWith(rig, { bootLog }).collect(reportData))
    expect(value).toMatchObject({ ccEventLog: null, logMatches: false })
    expect(value?.logProblem).toContain('ccel')
  })

  it('behind the length that the table states are padding of nobody', async () => {
    const rig = tdxGuestRig({ runtime: [] })
    const area = (await rig.kernel.bootLog.readLog(1 << 20)) ?? new Uint8Array()
    const { logBytes } = parseCcEventLog(area)
    const table = Uint8Array.from((await rig.kernel.bootLog.readTable()) ?? [])
    new DataView(table.buffer).setBigUint64(40, BigInt(logBytes), true)
    const garbage = Uint8Array.from(area)
    garbage.fill(7, logBytes)
    const bootLog = { readTable: async () => table, readLog: async () => garbage }
    const { value } = await runToEnd(rig.clock, attesterWith(rig, { bootLog }).collect(reportData))
    expect(value?.logMatches).toBe(true)
  })

  it.each(['EACCES', 'EFBIG', 'EIO'])(
    'that cannot be read (%s) end the collection: a verifier would miss them',
    async (errno) => {
      const rig = tdxGuestRig()
      rig.kernel.faults.inject('readBootLog', errno)
      const { error } = await collect(rig)
      expect(error).toMatchObject({ code: 'tdx_log_unreadable', facts: { errno } })
      expect(await rig.kernel.files.list()).toEqual([])
    },
  )

  it('a comparison that cannot read the log says why', async () => {
    const rig = tdxGuestRig()
    const refuse = () => {
      throw new MalformedError({ path: 'eventlog' }, 'is odd')
    }
    const { value } = await runToEnd(rig.clock, attesterWith(rig, { compareLog: refuse }).collect(reportData))
    expect(value).toMatchObject({ logMatches: false, logProblem: 'eventlog: is odd' })
  })
})

/** A path that answers one thing. */
const path = (name: QuotePath['name'], attempt: QuotePath['attempt']): QuotePath => ({ name, attempt })
const without = (name: QuotePath['name'], code: 'quote_path_unavailable' | 'quote_empty' | 'tsm_absent') =>
  path(name, async () => ({ kind: 'next', error: attesterErrors.error(code, name) }))

describe('ways to a quote', () => {
  const quoteOver = async (rig: Rig, data: Uint8Array): Promise<Uint8Array> =>
    (await collect(rig, data)).value?.quote ?? new Uint8Array()

  it('are tried in order, and the evidence names the one that had a quote (TDX-018)', async () => {
    const rig = tdxGuestRig()
    const quote = await quoteOver(rig, reportData)
    const second = path('vsock-qgs', async () => ({ kind: 'quote', quote }))
    const third = path('tdvmcall', async () => {
      throw new Error('is not asked')
    })
    rig.kernel.emptyQuotes = 1
    const attester = attesterWith(rig, { paths: [rig.path, second, third] })
    const { value } = await runToEnd(rig.clock, attester.collect(reportData))
    expect(value?.quotePath).toBe('vsock-qgs')
  })

  it('that failed for good end the search', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('mkdir', 'EACCES')
    const attester = attesterWith(rig, { paths: [rig.path, without('vsock-qgs', 'quote_empty')] })
    expect(codeOf((await runToEnd(rig.clock, attester.collect(reportData))).error)).toBe('tsm_permission')
  })

  it.each([
    [['tsm_absent', 'quote_path_unavailable'], 'tsm_absent'],
    [['tsm_absent', 'quote_empty', 'quote_path_unavailable'], 'quote_empty'],
    [['quote_empty', 'quote_path_unavailable'], 'quote_empty'],
    [[], 'quote_path_unavailable'],
  ] as const)('that all have none, %j, leave the most telling reason: %s', async (codes, expected) => {
    const rig = tdxGuestRig()
    const attester = attesterWith(rig, { paths: codes.map((code) => without('tdvmcall', code)) })
    expect(codeOf((await runToEnd(rig.clock, attester.collect(reportData))).error)).toBe(expected)
  })

  it('whatever they are, give nothing but a TDX quote over our report data (TDX-009)', async () => {
    const rig = tdxGuestRig()
    const good = await quoteOver(rig, reportData)
    const other = await quoteOver(rig, new Uint8Array(64))
    const cut = good.subarray(0, good.length - 1)
    const sgx = Uint8Array.from(good)
    sgx.set([0, 0, 0, 0], 4)
    const nearly = Uint8Array.from(good)
    const at = Buffer.from(good).indexOf(Buffer.from(reportData))
    nearly[at + 63] = (nearly[at + 63] ?? 0) ^ 1
    for (const quote of [other, cut, sgx, nearly, new Uint8Array(10)]) {
      const attester = attesterWith(rig, { paths: [path('tdvmcall', async () => ({ kind: 'quote', quote }))] })
      const { error } = await runToEnd(rig.clock, attester.collect(reportData))
      expect(codeOf(error)).toBe('quote_echo_mismatch')
    }
    const attester = attesterWith(rig, { paths: [path('tdvmcall', async () => ({ kind: 'quote', quote: good }))] })
    expect((await runToEnd(rig.clock, attester.collect(reportData))).error).toBeUndefined()
  })

  it('are not begun for a caller who has gone', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('outblob', 'EBUSY', 'EBUSY')
    const stop = new AbortController()
    const second = path('vsock-qgs', async () => {
      throw new TypeError('is not asked')
    })
    const attester = attesterWith(rig, { paths: [rig.path, second] })
    const answer = attester.collect(reportData, stop.signal)
    answer.catch(() => undefined)
    await rig.clock.advance(100)
    stop.abort(new Error('gone'))
    await expect(answer).rejects.toThrow('gone')
    await rig.clock.advance(0)
    expect(attester.state().inFlightMs).toBeNull()
    expect(await rig.kernel.files.list()).toEqual([])
  })
})
