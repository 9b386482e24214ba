import { Agent as HttpAgent } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FaultPlace } from '../../mocks/tdx/faults.ts'
import { type AgentProcess, audience, problemOf } from '../support/agent-process.ts'
import { askAnew, logged, readiness, startEager, told, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { tokensIn } from '../support/tokens-in.ts'

/** The way to a quote fails under a running agent, and comes back (TDX 1.1, TDX-010). */

const encoded = (data: Uint8Array, as: string) => Buffer.from(data).toString(as as BufferEncoding)
const missing = (cause: string) => [503, 'evidence_unavailable', cause]

describe('when quotes of a running TD', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    agent = await startEager(join(folder, 'agent'), machine())
    await agent.token()
  })
  afterAll(() => agent?.stop())

  afterEach(async () => {
    Object.assign(machine(), { answer: null })
    Object.assign(machine().kernel, { emptyQuotes: 0 })
    Object.assign(machine().kernel.files, { interference: undefined, quoteDelayMs: 0, present: true })
    expect(await toldAnew(agent, { timeout_ms: 2000 })).toEqual([200])
    expect(await machine().entries()).toEqual([])
    expect(await readiness(agent)).toEqual({ status: 200, reasons: [] })
  })

  const lastFailure = () => logged(agent, 'no_token').at(-1)

  it('are empty, callers are told so at once, and the token at hand is served', async () => {
    const token = await agent.token()
    machine().kernel.emptyQuotes = 9
    const answer = await askAnew(agent)
    expect(told(answer)).toEqual(missing('quote_empty'))
    expect(problemOf(answer)).toMatchObject({ retryable: true, remedy: expect.stringContaining('QGS') })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(await agent.token()).toBe(token)
    expect(lastFailure()).toMatchObject({ level: 40, issuer: 'local', code: 'quote_empty', kind: 'unavailable' })
  })

  it('are empty once, who has time is served by the next attempt', async () => {
    machine().kernel.emptyQuotes = 1
    expect(await toldAnew(agent, { timeout_ms: 5000 })).toEqual([200])
  })

  it.each<[string, FaultPlace, readonly string[], string]>([
    ['refused twice with EIO', 'outblob', ['EIO', 'EIO'], 'quote_host_error'],
    ['refused twice with ETIMEDOUT', 'outblob', ['ETIMEDOUT', 'ETIMEDOUT'], 'quote_host_silent'],
    ['refused with EINVAL', 'outblob', ['EINVAL'], 'tsm_refused'],
    ['too large', 'outblob', ['EFBIG'], 'quote_too_large'],
    ['refused with an errno that nobody expects', 'outblob', ['ENOTTY'], 'tsm_failed'],
    ['not offered by a driver', 'provider', ['ENXIO'], 'tsm_no_provider'],
    ['not permitted', 'mkdir', ['EACCES'], 'tsm_permission'],
  ])('are %s', async (_, place, errnos, cause) => {
    machine().kernel.faults.inject(place, ...errnos)
    // The second try of one quote comes after a second; another quote would be a try too many.
    const answer = await askAnew(agent, { timeout_ms: errnos.length > 1 ? 1400 : 300 })
    const code = cause === 'tsm_permission' ? [502, 'issuer_misconfigured', cause] : missing(cause)
    expect(told(answer)).toEqual(code)
    expect(machine().kernel.faults.pending(place)).toBe(0)
    expect(lastFailure()).toMatchObject({ code: cause })
  })

  it('are refused once, with whatever can pass, callers wait a little longer', async () => {
    machine().kernel.faults.inject('outblob', 'EBUSY', 'EBUSY', 'EAGAIN', 'EINTR', 'EIO')
    expect(await toldAnew(agent, { timeout_ms: 10_000 })).toEqual([200])
    expect(machine().kernel.faults.pending('outblob')).toBe(0)
    expect(agent.log).toContain('EBUSY; waiting for the host')
  })

  it('are busy for longer than a caller waits, that caller is told, and the device is free again', async () => {
    machine().kernel.faults.inject('outblob', ...Array<string>(3).fill('EBUSY'))
    expect(await toldAnew(agent, { timeout_ms: 500 })).toEqual([504, 'deadline_exceeded'])
    await agent.until(async () => (await agent.status()).td.quotes.inFlightMs === null, 'free')
    // What is left of the errors must not meet the next test.
    while (machine().kernel.faults.pending('outblob') > 0) await toldAnew(agent, { timeout_ms: 5000 })
  })

  it('are disturbed by another program once, nobody notices; again and again, callers are told', async () => {
    const { files } = machine().kernel
    let left = 2
    files.interference = (name, when) => {
      if (when === 'written' && left-- > 0) files.overwrite(name, new Uint8Array(64).fill(9))
    }
    expect(await toldAnew(agent)).toEqual([200])
    left = 1000
    expect(await toldAnew(agent)).toEqual(missing('tsm_conflict'))
    files.interference = (name, when) => {
      if (when === 'quoted') files.overwrite(name, new Uint8Array(64).fill(9))
    }
    expect(await toldAnew(agent)).toEqual(missing('tsm_conflict'))
  })

  it('are old ones, they are found out before anybody appraises them (TDX-009)', async () => {
    const old = machine().sim.quote({ reportData: machine().quoted[0] ?? new Uint8Array(64) })
    machine().answer = () => old
    const { evidence } = (await agent.status()).appraisals
    expect(await toldAnew(agent)).toEqual(missing('quote_echo_mismatch'))
    expect((await agent.status()).appraisals.evidence).toEqual(evidence)
    machine().answer = () => new Uint8Array(5000)
    expect(await toldAnew(agent)).toEqual(missing('quote_echo_mismatch'))
    machine().answer = ({ reportData }, honest) => honest.quote({ reportData, bodyType: 1 })
    expect(await toldAnew(agent)).toEqual(missing('quote_echo_mismatch'))
  })

  it('are signed by nobody, the verifier says which check failed', async () => {
    machine().answer = (asked, honest) => {
      const quote = honest.quote(asked)
      // The first byte of MRTD.
      quote[48 + 136] = (quote[48 + 136] ?? 0) ^ 1
      return quote
    }
    const [status, code, cause, findings] = await toldAnew(agent)
    expect([status, code, cause]).toEqual([502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED'])
    expect(findings).toContain('tdx.quote.signature')
    expect(lastFailure()).toMatchObject({ code: 'EVIDENCE_NOT_AFFIRMED', findings })
  })

  it('are out of reach because the kernel went away, the agent finds it when it is back', async () => {
    const token = await agent.token()
    await machine().switchOffKernel()
    expect(await toldAnew(agent)).toEqual(missing('tsm_absent'))
    expect(await agent.token()).toBe(token)
    await machine().switchOnKernel()
  })

  it('end in the middle because the kernel went away, the same', async () => {
    machine().kernel.files.quoteDelayMs = 500
    const asked = toldAnew(agent, { timeout_ms: 5000 })
    await agent.until(async () => (await agent.status()).td.quotes.inFlightMs !== null, 'quoting')
    await machine().switchOffKernel()
    // Who has the time is told of the next attempt, which finds no kernel.
    expect([missing('tsm_failed'), missing('tsm_absent')]).toContainEqual(await asked)
    expect(agent.log).toContain('tsm_failed')
    await machine().reboot()
  })

  it('take a second, two hundred callers share one', async () => {
    machine().kernel.files.quoteDelayMs = 1000
    const before = machine().quoted.length
    // A user may have 32 connections; a request that finds none free waits for its turn.
    const keepAlive = new HttpAgent({ keepAlive: true, maxSockets: 31 })
    const request = { audience: `${audience}/shared`, timeout_ms: 15_000 }
    const tokens = await Promise.all(Array.from({ length: 200 }, () => agent.token(request, { keepAlive })))
    keepAlive.destroy()
    expect(new Set(tokens).size).toBe(1)
    expect(machine().quoted.length - before).toBe(1)
  })

  it('are nowhere in the log, nor tokens, nor what was quoted', async () => {
    const token = await agent.token()
    const forms = machine().quoted.flatMap((data) => ['hex', 'base64', 'base64url'].map((as) => encoded(data, as)))
    expect(agent.log.split('\n').length).toBeGreaterThan(10)
    for (const secret of [token, ...forms]) expect(agent.log.includes(secret)).toBe(false)
    expect(tokensIn(agent.log)).toEqual([])
  })

  it('take a while, callers with audiences of their own share those that follow', async () => {
    machine().kernel.files.quoteDelayMs = 300
    const before = machine().quoted.length
    const answers = await Promise.all(Array.from({ length: 8 }, () => toldAnew(agent, { timeout_ms: 15_000 })))
    expect(answers).toEqual(Array(8).fill([200]))
    const quotes = machine().quoted.length - before
    expect(quotes).toBeGreaterThanOrEqual(1)
    expect(quotes).toBeLessThanOrEqual(3)
  })
})

describe('a quote that does not come back', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    agent = await startEager(join(folder, 'agent'), machine(), { tdx: ['timeout = "1s"'] })
  })
  afterAll(() => agent?.stop())

  it('is given up for its callers, said by readiness, and holds no token back; the next one follows its end', async () => {
    const token = await agent.token()
    machine().kernel.files.quoteDelayMs = 4000
    const started = performance.now()
    expect(await toldAnew(agent, { timeout_ms: 1800 })).toEqual(missing('quote_timeout'))
    // The quote itself takes longer.
    expect(performance.now() - started).toBeLessThan(4000)
    expect(await toldAnew(agent)).toEqual(missing('quote_stuck'))
    expect(await agent.token()).toBe(token)
    expect(await readiness(agent)).toEqual({ status: 503, reasons: ['tdx:quote_stuck'] })
    expect((await agent.status()).td.quotes).toMatchObject({ stuck: true })
    machine().kernel.files.quoteDelayMs = 0
    await agent.until(async () => (await readiness(agent)).status === 200, 'ready again', 20_000)
    expect(await toldAnew(agent)).toEqual([200])
    expect(await machine().entries()).toEqual([])
  })
})
