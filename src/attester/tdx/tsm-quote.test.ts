import { describe, expect, it } from 'vitest'
import { knownProcesses, runToEnd, tdxGuestRig } from '../../../test/support/tdx-guest-rig.ts'
import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { parseQuote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { entryName } from './entry-name.ts'
import type { QuoteOutcome } from './quote-path.ts'
import { createTsmQuotePath } from './tsm-quote.ts'

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const never = new AbortController().signal

async function attempt(rig: ReturnType<typeof tdxGuestRig>, signal = never) {
  const { value, error, tookMs } = await runToEnd(rig.clock, rig.path.attempt(reportData, signal))
  return { outcome: value, error, tookMs, left: await rig.kernel.files.list().catch(() => []) }
}

/** Kind and code, in one word. */
function said(outcome: QuoteOutcome | undefined): string {
  if (outcome === undefined) return 'none'
  return outcome.kind === 'quote' ? 'quote' : `${outcome.kind} ${outcome.error.code}`
}

const errorOf = (outcome: QuoteOutcome | undefined): AttestdError | undefined =>
  outcome !== undefined && outcome.kind !== 'quote' ? outcome.error : undefined

describe('a quote by configfs-tsm', () => {
  it('is over the 64 bytes that were written, and leaves no entry (BRK-83)', async () => {
    const { outcome, left, tookMs } = await attempt(tdxGuestRig())
    if (outcome?.kind !== 'quote') throw new Error(said(outcome))
    expect(reportDataOf(parseQuote(outcome.quote))).toEqual(reportData)
    expect(left).toEqual([])
    expect(tookMs).toBe(0)
  })

  it.each([0, 63, 65])('is not asked for over %i bytes (TDX-003)', async (size) => {
    await expect(tdxGuestRig().path.attempt(new Uint8Array(size), never)).rejects.toThrow(TypeError)
  })

  it('writes exactly once, all 64 bytes, into its own entry with a random name (BRK-83)', async () => {
    const rig = tdxGuestRig()
    const writes: [string, number][] = []
    const { writeOnce } = rig.kernel.files
    rig.kernel.files.writeOnce = async (name, attribute, bytes) => {
      writes.push([`${name}/${attribute}`, bytes.length])
      await writeOnce.call(rig.kernel.files, name, attribute, bytes)
    }
    await attempt(rig)
    expect(writes).toEqual([[expect.stringMatching(/^attestd-[0-9a-f]{16}\/inblob$/), 64]])
  })

  it('waits a second where the host takes one (TDX-012)', async () => {
    const rig = tdxGuestRig()
    rig.kernel.files.quoteDelayMs = 1000
    expect(await attempt(rig)).toMatchObject({ outcome: { kind: 'quote' }, tookMs: 1000, left: [] })
  })

  it('is refused by the provider of another TEE, before anything is written (TDX-002)', async () => {
    const rig = tdxGuestRig()
    rig.kernel.files.provider = 'sev_guest'
    const { outcome, left } = await attempt(rig)
    expect(said(outcome)).toBe('failed tsm_wrong_provider')
    expect(errorOf(outcome)?.message).toContain('"sev_guest"')
    expect(left).toEqual([])
  })

  it.each(['tdx_guest', 'tdx_guest \t\n'])('takes the provider %j', async (provider) => {
    const rig = tdxGuestRig()
    rig.kernel.files.provider = provider
    expect(said((await attempt(rig)).outcome)).toBe('quote')
  })

  it.each(['tdx_guest2', ' tdx_guest', ''])('does not take the provider %j', async (provider) => {
    const rig = tdxGuestRig()
    rig.kernel.files.provider = provider
    expect(said((await attempt(rig)).outcome)).toBe('failed tsm_wrong_provider')
  })

  it('that has no bytes is a failure, and names the quoting service (TDX-006, BRK-83)', async () => {
    const rig = tdxGuestRig()
    rig.kernel.emptyQuotes = 1
    const { outcome, left } = await attempt(rig)
    expect(said(outcome)).toBe('next quote_empty')
    expect(errorOf(outcome)?.remedy).toContain('QGS')
    expect(left).toEqual([])
  })
})

describe('somebody who writes into our entry', () => {
  const others = new Uint8Array(64).fill(0xee)

  it.each(['written', 'quoted'] as const)(
    'is noticed when it was %s, and left behind (TDX-004, 007, BRK-83)',
    async (moment) => {
      const rig = tdxGuestRig()
      let times = 3
      const names = new Set<string>()
      rig.kernel.files.interference = (name, when) => {
        names.add(name)
        if (when === moment && times-- > 0) rig.kernel.files.overwrite(name, others)
      }
      const { outcome, left } = await attempt(rig)
      if (outcome?.kind !== 'quote') throw new Error(said(outcome))
      expect(reportDataOf(parseQuote(outcome.quote))).toEqual(reportData)
      expect(names.size).toBe(4)
      expect(left).toEqual([])
    },
  )

  it('and does not stop, ends it after the first entry and three more', async () => {
    const rig = tdxGuestRig()
    const names = new Set<string>()
    rig.kernel.files.interference = (name) => {
      names.add(name)
      rig.kernel.files.overwrite(name, others)
    }
    const { outcome, left } = await attempt(rig)
    expect(said(outcome)).toBe('failed tsm_conflict')
    expect(errorOf(outcome)?.retryable).toBe(true)
    expect(names.size).toBe(4)
    expect(left).toEqual([])
  })

  it('is not the only one: a write that the kernel dropped at close begins anew, not asked for a quote (TDX-004)', async () => {
    const rig = tdxGuestRig()
    const { files } = rig.kernel
    const { writeOnce } = files
    let dropped = 2
    files.writeOnce = async (name, attribute, bytes) => {
      if (dropped-- <= 0) await writeOnce.call(files, name, attribute, bytes)
    }
    expect(said((await attempt(rig)).outcome)).toBe('quote')
  })

  it.each(['0\n', '2\n', '', 'one\n', '1 1\n', '01x\n', '-1\n'])('or a count of %j writes', async (text) => {
    const rig = tdxGuestRig()
    const { readAll } = rig.kernel.files
    rig.kernel.files.readAll = async (name, attribute, limit) =>
      attribute === 'generation' ? Buffer.from(text) : readAll.call(rig.kernel.files, name, attribute, limit)
    expect(said((await attempt(rig)).outcome)).toBe('failed tsm_conflict')
  })
})

/** The table of TDX 1.1: errors at a step, what becomes of them, and how long it takes. */
type Row = readonly [
  place: 'mkdir' | 'provider' | 'inblob' | 'generation' | 'outblob',
  errnos: string,
  said: string,
  tookMs: number,
]
const rows: readonly Row[] = [
  ['mkdir', 'ENOENT', 'next tsm_absent', 0],
  ['mkdir', 'EACCES', 'failed tsm_permission', 0],
  ['mkdir', 'EPERM', 'failed tsm_permission', 0],
  ['mkdir', 'ENXIO', 'next tsm_no_provider', 0],
  ['mkdir', 'EEXIST', 'quote', 0],
  ['mkdir', 'EEXIST EEXIST EEXIST', 'quote', 0],
  ['mkdir', 'EEXIST EEXIST EEXIST EEXIST', 'failed tsm_conflict', 0],
  ['mkdir', 'EINTR EINTR', 'quote', 0],
  ['mkdir', 'ENOMEM', 'next tsm_failed', 0],
  ['provider', 'ENOENT', 'quote', 0],
  ['provider', 'EIO', 'next tsm_failed', 0],
  ['inblob', 'EACCES', 'failed tsm_permission', 0],
  ['inblob', 'EPERM', 'failed tsm_permission', 0],
  ['inblob', 'EINTR', 'quote', 0],
  ['inblob', 'ENOENT', 'quote', 0],
  ['inblob', 'EBUSY', 'next tsm_failed', 0],
  ['generation', 'ENOENT', 'quote', 0],
  ['generation', 'EINTR', 'quote', 0],
  ['outblob', 'ENXIO', 'next tsm_no_provider', 0],
  ['outblob', 'EINVAL', 'failed tsm_refused', 0],
  ['outblob', 'EFBIG', 'failed quote_too_large', 0],
  ['outblob', 'EINTR', 'quote', 0],
  ['outblob', 'EINTR EINTR EINTR', 'quote', 0],
  ['outblob', 'ENOENT', 'quote', 0],
  ['outblob', 'EACCES', 'failed tsm_permission', 0],
  ['outblob', 'EBUSY', 'quote', 250],
  ['outblob', 'EAGAIN', 'quote', 250],
  ['outblob', 'EBUSY EBUSY EAGAIN EBUSY EBUSY EBUSY', 'quote', 250 + 500 + 1000 + 2000 + 2000 + 2000],
  ['outblob', 'ETIMEDOUT', 'quote', 1000],
  ['outblob', 'ETIMEDOUT ETIMEDOUT', 'next quote_host_silent', 1000],
  ['outblob', 'EIO', 'quote', 1000],
  ['outblob', 'EIO EIO', 'next quote_host_error', 1000],
  ['outblob', 'EIO ETIMEDOUT', 'quote', 2000],
  ['outblob', 'ETIMEDOUT EBUSY ETIMEDOUT', 'next quote_host_silent', 1250],
  ['outblob', 'ENOTSUP', 'next tsm_failed', 0],
]

describe('what the system refuses (TDX-010)', () => {
  it.each(rows)('at %s: %s is %s, after %i ms', async (place, errnos, expected, expectedMs) => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject(place, ...errnos.split(' '))
    const { outcome, left, tookMs } = await attempt(rig)
    expect(said(outcome)).toBe(expected)
    expect(tookMs).toBe(expectedMs)
    expect(left).toEqual([])
    expect(rig.kernel.faults.pending(place)).toBe(0)
    const error = errorOf(outcome)
    if (error === undefined || place === 'mkdir') return
    const path = expect.stringMatching(new RegExp(`^attestd-[0-9a-f]{16}/${place}$`))
    expect(error.facts).toEqual({ errno: errnos.split(' ').at(-1), path, step: place })
    expect(error.remedy).not.toBe('')
  })

  it('is retryable exactly where asking again may help', async () => {
    const retryable: Record<string, boolean | undefined> = {}
    for (const errnos of ['ETIMEDOUT ETIMEDOUT', 'EIO EIO', 'EINVAL', 'EFBIG', 'EACCES', 'ENXIO']) {
      const rig = tdxGuestRig()
      rig.kernel.faults.inject('outblob', ...errnos.split(' '))
      retryable[errnos] = errorOf((await attempt(rig)).outcome)?.retryable
    }
    expect(retryable).toEqual({
      'ETIMEDOUT ETIMEDOUT': true,
      'EIO EIO': true,
      EINVAL: false,
      EFBIG: false,
      EACCES: false,
      ENXIO: false,
    })
  })

  it('without end, by signals: 64 are repeated, one more is not', async () => {
    const [enough, tooMany] = [tdxGuestRig(), tdxGuestRig()]
    enough.kernel.faults.inject('outblob', ...Array<string>(64).fill('EINTR'))
    tooMany.kernel.faults.inject('outblob', ...Array<string>(65).fill('EINTR'))
    expect(said((await attempt(enough)).outcome)).toBe('quote')
    expect(said((await attempt(tooMany)).outcome)).toBe('failed tsm_failed')
  })

  it('a busy host is waited for until the signal, no longer, and the entry goes', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('outblob', ...Array<string>(100).fill('EBUSY'))
    const stop = new AbortController()
    const reason = new Error('enough')
    rig.clock.sleep(10_000).then(() => stop.abort(reason))
    const { error, left, tookMs } = await attempt(rig, stop.signal)
    expect(error).toBe(reason)
    expect(tookMs).toBe(10_000)
    expect(left).toEqual([])
    expect(rig.warnings).toEqual([expect.stringContaining('EBUSY')])
  })

  it('at rmdir is told and withholds nothing (TDX-008)', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('rmdir', 'EINTR', 'EBUSY')
    const { outcome, left } = await attempt(rig)
    expect(said(outcome)).toBe('quote')
    expect(left).toHaveLength(1)
    expect(rig.warnings).toEqual([expect.stringContaining('EBUSY')])
  })

  it('a bug is no refusal: it passes through, and the entry goes', async () => {
    const rig = tdxGuestRig()
    const bug = new RangeError('a bug')
    rig.kernel.files.writeOnce = async () => {
      throw bug
    }
    const { error, left } = await attempt(rig)
    expect(error).toBe(bug)
    expect(left).toEqual([])
  })

  it('a file that is not there at all, such as a simulator that ended, is left to the next path', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('mkdir', 'ECONNREFUSED')
    expect(said((await attempt(rig)).outcome)).toBe('next tsm_failed')
  })
})

describe('entries that were left behind (TDX-015)', () => {
  const rigWith = (names: readonly string[], processes = knownProcesses()) => {
    const rig = tdxGuestRig()
    const { files } = rig.kernel
    const path = createTsmQuotePath({ files, processes, clock: rig.clock, random: rig.random })
    return { files, path, ready: Promise.all(names.map((name) => files.mkdir(name))) }
  }
  const random = () => Uint8Array.of(1, 2, 3)
  const self = knownProcesses().self()

  it('are removed where their process is gone, and no others are', async () => {
    const alive = { pid: 800, namespace: self.namespace, startTime: '77' }
    const gone = entryName({ ...self, pid: 900 }, random)
    const kept = [
      entryName(self, random),
      entryName(alive, random),
      entryName({ ...self, pid: 901 }, random),
      entryName({ ...self, pid: 900, namespace: 'pid:[4026532000]' }, random),
      'attestd-0123456789abcdeg',
      'attestd-00112233445566778',
      'other-0123456789abcdef',
    ]
    const { files, path, ready } = rigWith([gone, ...kept], knownProcesses([alive], [901]))
    await ready
    expect(await path.removeStale()).toBe(1)
    expect([...(await files.list())].sort()).toEqual([...kept].sort())
  })

  it('of a process whose number another one has now are removed', async () => {
    const reused = { pid: 800, namespace: self.namespace, startTime: '2000' }
    const { files, path, ready } = rigWith(
      [entryName({ ...reused, startTime: '77' }, random)],
      knownProcesses([reused]),
    )
    await ready
    expect(await path.removeStale()).toBe(1)
    expect(await files.list()).toEqual([])
  })

  it('are no concern where there is no folder', async () => {
    const { files, path } = rigWith([])
    files.present = false
    expect(await path.removeStale()).toBe(0)
  })

  it('are no concern of a simulator that speaks another language', async () => {
    const { files, path } = rigWith([])
    files.list = async () => {
      throw new MalformedError({ path: 'simulator' }, 'is odd')
    }
    expect(await path.removeStale()).toBe(0)
  })

  it('that cannot be removed are told, not fatal', async () => {
    const rig = tdxGuestRig()
    await rig.kernel.files.mkdir(entryName({ ...self, pid: 900 }, random))
    rig.kernel.faults.inject('rmdir', 'EBUSY')
    expect(await rig.path.removeStale()).toBe(0)
    expect(rig.warnings).toHaveLength(1)
  })
})

describe('names of entries', () => {
  it('are of the prescribed form, and no two are equal', async () => {
    const rig = tdxGuestRig()
    const names = new Set<string>()
    const { mkdir } = rig.kernel.files
    rig.kernel.files.mkdir = async (name) => {
      names.add(name)
      await mkdir.call(rig.kernel.files, name)
    }
    for (let left = 50; left > 0; left--) await attempt(rig)
    expect(names.size).toBe(50)
    for (const name of names) expect(name).toMatch(/^attestd-[0-9a-f]{16}$/)
  })

  it('hold the largest process number of Linux', () => {
    const self = knownProcesses().self()
    const name = entryName({ ...self, pid: 2 ** 22 }, () => new Uint8Array(3))
    expect(name).toMatch(/^attestd-400000[0-9a-f]{4}000000$/)
  })
})
