import { readdirSync } from 'node:fs'
import http from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { SystemClock } from '../../src/platform/system-clock.ts'
import {
  drawing,
  type HostileConnection,
  hastyConnection,
  slowConnection,
} from '../../test/support/hostile-requests.ts'
import { faultOfFirst, readAnswers, requireForm } from '../../test/support/judge-answers.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import { type FakeProvider, openRoom, request } from '../../test/support/workload-room.ts'

/** `ATTESTD_SEED` repeats a run that failed elsewhere, or explores others. */
const seed = Number(process.env['ATTESTD_SEED'] ?? 20_260_101)
const wanted = 100_000
const limits = {
  connectionsPerUid: 256,
  connectionRequests: 1e9,
  acceptsPerS: 1e9,
  acceptBurst: 1e9,
  requestBurst: 1e9,
  expensiveBurst: 1e9,
  headersMs: 300,
  bodyMs: 300,
  idleMs: 300,
  writeStallMs: 300,
  checkMs: 50,
}
/** By which the server has let go of any connection, by the limits above, on a machine that does other things too. */
const closedMs = 10_000

/** How long those do not read who do not read. */
const deafMs = 600

const allowed = (audience: string) => /^(?:https:\/\/[ac]\.example$|urn:x:)/.test(audience)
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function send(client: RawClient, { requests, manner }: HostileConnection): Promise<void> {
  const text = requests.join('')
  if (manner !== 'pieces') {
    client.write(text)
  } else {
    for (let at = 0, size = 7; at < text.length; at += size) {
      size = at < 40 ? 7 : 997
      client.write(text.slice(at, at + size))
      await turn()
    }
  }
  if (manner === 'deaf') client.socket.pause()
  if (manner === 'gone') await turn().then(() => client.destroy())
  else if (manner === 'half' || manner === 'pieces') client.half()
}

function judge({ requests }: HostileConnection, received: string, statuses: Map<number, number>): void {
  const text = requests.join('')
  const answers = readAnswers(received)
  for (const answer of answers) {
    requireForm(answer)
    if (answer.bodiless && !text.includes('HEAD')) throw new Error('an answer without its body')
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
  }
  const granted = answers.filter(({ status }) => status < 300).length
  if (granted > (text.match(/HTTP\/1\.[01]/g)?.length ?? 0)) throw new Error('more answers than requests')
  const fault = answers[0] !== undefined && answers[0].status < 300 ? faultOfFirst(text) : null
  if (fault !== null) throw new Error(`granted: ${fault}`)
}

/** Sends one connection's requests and waits until the server has let go of it. */
async function exchange(path: string, connection: HostileConnection, statuses: Map<number, number>): Promise<void> {
  const client = new RawClient(path)
  try {
    await send(client, connection)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still open after ${closedMs} ms`)), closedMs)
    })
    if (connection.manner === 'deaf') setTimeout(() => client.socket.resume(), deafMs)
    await Promise.race([client.closed, late]).finally(() => clearTimeout(timer))
    if (connection.manner !== 'gone') judge(connection, client.received, statuses)
  } catch (cause) {
    throw new Error(`ATTESTD_SEED=${seed}: ${JSON.stringify(connection)}`, { cause })
  } finally {
    client.destroy()
  }
}

/** Asks one time after the other over one connection, as somebody does who means no harm; gives milliseconds. */
async function behave(path: string, goesOn: () => boolean): Promise<number[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const took: number[] = []
  while (goesOn()) {
    const start = performance.now()
    const status = await new Promise<number>((resolve, reject) => {
      const asking = http.get({ agent, socketPath: path, path: '/v1/token' }, (answer) =>
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
      )
      asking.on('error', reject)
    })
    if (status !== 200) throw new Error(`the well-behaved caller got ${status}`)
    took.push(performance.now() - start)
    await new Promise((wake) => setTimeout(wake, 5))
  }
  agent.destroy()
  return took.sort((left, right) => left - right)
}

const openDescriptors = () => readdirSync('/proc/self/fd').length

/** Lets some requests wait a little, as long as somebody is there; gives how many do. */
function countWaiting(provider: FakeProvider): () => number {
  let waiting = 0
  provider.answer = async ({ audience }, signal) => {
    if (audience[0] !== 'urn:x:1') return {}
    waiting++
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 2)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    waiting--
    return {}
  }
  return () => waiting
}

/** Everything hostile at once; gives how many requests it was, and what the answers were. */
async function bombard(path: string) {
  const statuses = new Map<number, number>()
  let sent = 0
  const hasty = Array.from({ length: 16 }, async (_, at) => {
    const draw = drawing(seed + at * 7919)
    for (let mine = 0; mine < wanted / 16; ) {
      const connection = hastyConnection(draw)
      await exchange(path, connection, statuses)
      mine += connection.requests.length
      sent += connection.requests.length
    }
  })
  const slow = Array.from({ length: 40 }, async (_, at) => {
    const draw = drawing(seed - 1 - at * 7907)
    for (let mine = 0; mine < 12; mine++) await exchange(path, slowConnection(draw), statuses)
  })
  await Promise.all([...hasty, ...slow])
  return { statuses, sent }
}

it('100 000 hostile requests: whole answers or none (API-25 to API-31), no hang, nothing left (I17), others are served', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => void warnings.push(warning)
  process.on('warning', warned)
  onTestFinished(() => void process.off('warning', warned))
  const clock = new SystemClock(null)
  const { path, provider, identifier, log } = await openRoom({ collectEvidence: async () => '{}', limits, clock })
  const waiting = countWaiting(provider)
  const own = () => rawRequest(path, request('GET', '/v1/token'))
  expect((await own()).status).toBe(200)
  while (identifier.open > 0) await turn()
  const descriptors = openDescriptors()
  let over = false
  const hostile = bombard(path).finally(() => {
    over = true
  })
  const [took, { statuses, sent }] = await Promise.all([behave(path, () => !over), hostile])
  expect(sent).toBeGreaterThanOrEqual(wanted)
  for (const { request: asked } of provider.asked) expect(asked.audience.every(allowed)).toBe(true)
  expect([log.lines.filter((line) => line.startsWith('error')), warnings]).toEqual([[], []])
  for (const status of [200, 400, 403, 404, 405, 408, 415, 429, 431]) expect([...statuses.keys()]).toContain(status)
  expect(took.length).toBeGreaterThan(100)
  // The caller shares the thread with all that is hostile and with the server: so these bounds say that nothing blocks it.
  expect(took[Math.floor(took.length * 0.99)]).toBeLessThan(3000)
  expect(took.at(-1)).toBeLessThan(10_000)
  const left = () => [identifier.open, waiting(), openDescriptors()]
  await expect.poll(left, { timeout: 5000 }).toEqual([0, 0, descriptors])
  expect((await own()).status).toBe(200)
}, 180_000)
