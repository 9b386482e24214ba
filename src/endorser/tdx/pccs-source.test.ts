import { beforeEach, describe, expect, it } from 'vitest'
import { FakePccs, rigBase, rigNow, rigPki, status } from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { RandomSource } from '../../base/random.ts'
import type { ItemKey } from './item-key.ts'
import { createPccsSource } from './pccs-source.ts'

const identity: ItemKey = { kind: 'qe-identity', tee: 'tdx', update: 'standard' }
const tcbOf = (fmspc: string): ItemKey => ({ kind: 'tcb-info', tee: 'tdx', fmspc, update: 'standard' })

let clock: FakeClock
let pccs: FakePccs
let times: number[]

beforeEach(() => {
  clock = new FakeClock(rigNow)
  pccs = new FakePccs()
  times = []
})

const longestPauses: RandomSource = (size) => new Uint8Array(size).fill(0xff)
const shortestPauses: RandomSource = (size) => new Uint8Array(size)

/** What the source came to within `seconds`: an error's code, a count of items, or that it still goes on. */
async function outcome(key: ItemKey, seconds: number, random = longestPauses, signal = new AbortController().signal) {
  const meddle = pccs.meddle
  pccs.meddle = (url, aborted) => {
    times.push(clock.monotonic() - 1_000)
    return meddle(url, aborted)
  }
  const source = createPccsSource({ base: rigBase(), transport: pccs, clock, random })
  let result: string | number = 'goes on'
  source.obtain(key, signal).then(
    (items) => {
      result = items.length
    },
    (error) => {
      result = error.code ?? error.message
    },
  )
  await clock.advance(seconds * 1_000)
  return result
}

describe('repetitions (TDX-208)', () => {
  it('three, after about 0.5, 1 and 2 seconds', async () => {
    pccs.meddle = () => status(503)
    expect(await outcome(identity, 10)).toBe('collateral_unavailable')
    expect(times.map((time) => Math.round(time))).toEqual([0, 500, 1_500, 3_500])
  })

  it('with pauses that are shorter by up to a half', async () => {
    pccs.meddle = () => status(503)
    await outcome(identity, 10, shortestPauses)
    expect(times).toEqual([0, 250, 750, 1_750])
  })

  it('end with the first good answer', async () => {
    pccs.meddle = () => (times.length < 3 ? status(503) : null)
    expect(await outcome(identity, 10)).toBe(1)
    expect(times).toHaveLength(3)
  })

  it.each([400, 401, 403, 404, 410, 461, 462, 301, 204])('are of no use after %i', async (code) => {
    pccs.meddle = () => status(code)
    await outcome(identity, 10)
    expect(times).toHaveLength(1)
  })

  it.each([
    ['5', [0, 5_000, 10_000, 15_000]],
    ['6', [0]],
    ['0', [0, 0, 0, 0]],
    ['Wed, 21 Oct 2026 07:28:00 GMT', [0, 500, 1_500, 3_500]],
    ['-1', [0, 500, 1_500, 3_500]],
  ])('wait as Retry-After %s asks, or leave the server', async (header, expected) => {
    pccs.meddle = () => status(429, { 'retry-after': header })
    await outcome(identity, 20)
    expect(times.map((time) => Math.round(time))).toEqual(expected)
  })
})

describe('limits of time (TDX-206, PCS-01)', () => {
  it('10 s an exchange, 20 s in all', async () => {
    pccs.meddle = () => new Promise(() => undefined)
    expect(await outcome(identity, 19.999)).toBe('goes on')
    expect(times.map((time) => Math.round(time))).toEqual([0, 10_500])
    await clock.advance(1)
    expect(await outcome(identity, 20)).toBe('collateral_unavailable')
  })

  it('the exchange hears that its time is over', async () => {
    const reasons: unknown[] = []
    pccs.meddle = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason)
          reject(signal.reason)
        })
      })
    await outcome(identity, 10)
    expect(String(reasons[0])).toContain('within 10 s')
  })

  it('who gives up hears why, and the exchange is ended', async () => {
    const leaving = new AbortController()
    pccs.meddle = () => new Promise(() => undefined)
    const left = outcome(identity, 5, longestPauses, leaving.signal)
    leaving.abort(new Error('gone'))
    expect(await left).toBe('gone')
    await clock.advance(60_000)
    expect(times).toHaveLength(1)
    expect(clock.sleeping).toBe(0)
  })

  it('leaves no sleeper behind', async () => {
    await outcome(identity, 1)
    expect(clock.sleeping).toBe(0)
  })
})

describe('a second try in capital letters (TDX-204)', () => {
  const asked = () => pccs.paths.map((path) => path.replace(/.*fmspc=/, ''))

  it('once, after 404', async () => {
    pccs.meddle = (url) => (url.search.includes('51d0ac') ? status(404) : null)
    expect(await outcome(tcbOf(rigPki.platform.fmspc), 5)).toBe(1)
    expect(asked()).toEqual(['51d0ac000000', '51D0AC000000'])
  })

  it('not where capital letters make no difference', async () => {
    expect(await outcome(tcbOf('001234567890'), 5)).toBe('collateral_unknown_platform')
    expect(asked()).toEqual(['001234567890'])
  })

  it('not after other failures', async () => {
    pccs.meddle = () => status(410)
    await outcome(tcbOf(rigPki.platform.fmspc), 5)
    expect(asked()).toEqual(['51d0ac000000'])
  })
})

describe('an answer', () => {
  const good = async () => {
    const answer = await new FakePccs().get(new URL('https://h/tdx/certification/v4/tcb?fmspc=51d0ac000000'), {
      maxBytes: 1,
      signal: new AbortController().signal,
    })
    return { ...answer, text: new TextDecoder().decode(answer.body) }
  }
  const answering = async (change: (text: string) => string, headers?: Record<string, string>) => {
    const { text, ...answer } = await good()
    pccs.meddle = () => ({
      ...answer,
      headers: headers ?? answer.headers,
      body: new TextEncoder().encode(change(text)),
    })
    return outcome(tcbOf(rigPki.platform.fmspc), 5)
  }

  it('of version 3 names its chain differently', async () => {
    const { headers } = await good()
    const chain = headers['tcb-info-issuer-chain'] ?? ''
    expect(await answering((text) => text, { 'sgx-tcb-info-issuer-chain': chain })).toBe(1)
  })

  it('that was indented is taken as it is (tdx.md 3.8.8): its bytes are what was signed', async () => {
    expect(await answering((text) => JSON.stringify(JSON.parse(text), null, 2))).toBe(1)
  })

  it.each([
    ['cut', (text: string) => text.slice(0, -1)],
    ['with a third member', (text: string) => text.replace('{', '{"x":1,')],
    ['with the member twice', (text: string) => text.replace('{', '{"tcbInfo":{},')],
    ['without signature', (text: string) => text.replace('"signature"', '"signatur"')],
    ['with a byte order mark', (text: string) => `\ufeff${text}`],
    ['of another kind', (text: string) => text.replace('tcbInfo', 'enclaveIdentity')],
    ['that is too long', (text: string) => text + ' '.repeat(1_048_576)],
  ])('%s is refused, and not asked for again', async (_, change) => {
    expect(await answering(change)).toBe('collateral_answer_invalid')
    expect(times).toHaveLength(1)
  })

  it('without a chain is refused', async () => {
    expect(await answering((text) => text, {})).toBe('collateral_answer_invalid')
  })
})
