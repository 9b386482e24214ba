import { afterEach, describe, expect, it, vi } from 'vitest'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { deriveTpmQualifyingData, digestDevices } from '../../evidence/binding.ts'
import { devicesOf, type GuestEvidence, tpmPartOf } from '../../evidence/composite.ts'
import { appraiseGuest, type GuestInputs } from '../../verifier/index.ts'
import { type Appraiser, createWorkerAppraiser } from './appraiser.ts'
import { buffersOfResult, buffersOfTask } from './evidence-tasks.ts'
import { performTask } from './perform-task.ts'

const tpm = new SoftwareTpm()
const seed = new Uint8Array(48).fill(5)
const nonce = deriveTpmQualifyingData(seed)
const evidence: GuestEvidence = { tdx: null, tpm: { evidence: tpm.evidence(nonce), container: null } }
const { now, expected, ...asked } = tpm.inputs(nonce)
const inputs: GuestInputs = {
  now,
  seed,
  required: ['tpm'],
  tpm: { ...asked, selection: expected.selection },
  tdx: null,
}

/** A thread that runs `body` for every job; `port` and `job` are in scope. */
function threadThat(body: string): URL {
  const program = `import { parentPort as port } from 'node:worker_threads'
    let jobs = 0
    port.on('message', (job) => { jobs++; ${body} })`
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`)
}

const answering = threadThat('port.postMessage({ id: job.id, value: { evidence: job.task.evidence, jobs } })')
const silent = threadThat('')
const opened: Appraiser[] = []

function open(entry: URL, rested?: () => void): Appraiser {
  const appraiser = createWorkerAppraiser({ entry, ...(rested && { rested }) })
  opened.push(appraiser)
  return appraiser
}

afterEach(async () => {
  vi.useRealTimers()
  for (const appraiser of opened.splice(0)) await appraiser[Symbol.asyncDispose]()
})

describe('an appraiser in a thread', () => {
  it('gives each job its own answer, and takes evidence and inputs as they are', async () => {
    const appraiser = open(answering)
    const answers = await Promise.all([1, 2, 3].map(() => appraiser.appraise(evidence, inputs)))
    expect(answers).toMatchObject([1, 2, 3].map((jobs) => ({ jobs, evidence })))
  })

  it('answers by number, whatever the order of the answers', async () => {
    const answerBothAtTheSecond = `
      if (jobs === 1) globalThis.first = job
      else for (const { id } of [job, globalThis.first]) port.postMessage({ id, value: id })`
    const appraiser = open(threadThat(answerBothAtTheSecond))
    const [one, two] = await Promise.all([appraiser.appraise(evidence, inputs), appraiser.appraise(evidence, inputs)])
    expect([one, two]).toEqual([1, 2])
  })

  it('takes 64 jobs at once and no more', async () => {
    const appraiser = open(silent)
    const waiting = Array.from({ length: 64 }, () => appraiser.appraise(evidence, inputs))
    const settled = Promise.allSettled(waiting)
    await expect(appraiser.appraise(evidence, inputs)).rejects.toMatchObject({ code: 'APPRAISER_BUSY' })
    await appraiser[Symbol.asyncDispose]()
    expect(new Set((await settled).map((result) => 'reason' in result && result.reason.code))).toEqual(
      new Set(['APPRAISER_BUSY']),
    )
  })

  it('gives up after 30 seconds, and takes the next job with a new thread', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const appraiser = open(
      threadThat('if (job.task.inputs.now === 1) port.postMessage({ id: job.id, value: { jobs } })'),
    )
    const [lost, beside] = [appraiser.appraise(evidence, inputs), appraiser.appraise(evidence, inputs)]
    const outcomes = Promise.allSettled([lost, beside])
    vi.advanceTimersByTime(29_999)
    const early = await Promise.race([outcomes, Promise.resolve('waiting')])
    expect(early).toBe('waiting')
    vi.advanceTimersByTime(1)
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'APPRAISAL_TIMEOUT' } })
    }
    expect(await appraiser.appraise(evidence, { ...inputs, now: 1 })).toMatchObject({ jobs: 1 })
  })

  it('does not wait for a job that cannot be sent: its bytes went with another one', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const appraiser = open(answering)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 1 })
    const data = new Uint8Array(100_000)
    const part = { from: 0, column: 'sha1', data } as const
    const gone = { tdx: null, tpm: { evidence: { ...tpm.evidence(nonce), ima: part }, container: null } }
    structuredClone(data, { transfer: [data.buffer] })
    await expect(appraiser.appraise(gone, inputs)).rejects.toThrow('could not be cloned')
    vi.advanceTimersByTime(19_999)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 2 })
    vi.advanceTimersByTime(10_001)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 3 })
  })

  it('ends its thread after 20 seconds without a job, and takes the next one with a new thread', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const rested = vi.fn()
    const appraiser = open(answering, rested)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 1 })
    vi.advanceTimersByTime(19_999)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 2 })
    vi.advanceTimersByTime(19_999)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 3 })
    expect(rested).not.toHaveBeenCalled()
    vi.advanceTimersByTime(20_000)
    await expect.poll(() => rested.mock.calls.length).toBe(1)
    expect(await appraiser.appraise(evidence, inputs)).toMatchObject({ jobs: 1 })
  })

  it('keeps its thread while somebody waits', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answersSecondAndThird = 'if (jobs > 1) port.postMessage({ id: jobs, value: jobs })'
    const appraiser = open(threadThat(answersSecondAndThird))
    const slow = Promise.allSettled([appraiser.appraise(evidence, inputs)])
    expect(await appraiser.appraise(evidence, inputs)).toBe(2)
    vi.advanceTimersByTime(25_000)
    expect(await appraiser.appraise(evidence, inputs)).toBe(3)
    vi.advanceTimersByTime(5_000)
    expect(await slow).toMatchObject([{ reason: { code: 'APPRAISAL_TIMEOUT' } }])
  })

  it('passes a bug of the thread on to all who wait, and goes on with a new thread', async () => {
    const appraiser = open(
      threadThat(
        'if (job.task.inputs.now === 1) port.postMessage({ id: job.id, value: { jobs } }); else throw new TypeError("bug")',
      ),
    )
    const outcomes = await Promise.allSettled([
      appraiser.appraise(evidence, inputs),
      appraiser.appraise(evidence, inputs),
    ])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: new TypeError('bug') })
    expect(await appraiser.appraise(evidence, { ...inputs, now: 1 })).toMatchObject({ jobs: 1 })
  })

  it.each(['ERR_WORKER_OUT_OF_MEMORY', 'ERR_WORKER_INIT_FAILED'])(
    'takes it for no bug that the system had nothing left for its thread (%s)',
    async (code) => {
      const appraiser = open(threadThat(`throw Object.assign(new Error('none left'), { code: '${code}' })`))
      await expect(appraiser.appraise(evidence, inputs)).rejects.toMatchObject({
        code: 'APPRAISER_STARVED',
        kind: 'unavailable',
        retryable: true,
      })
    },
  )

  it('says so when its thread ends by itself', async () => {
    const appraiser = open(threadThat('process.exit(0)'))
    await expect(appraiser.appraise(evidence, inputs)).rejects.toMatchObject({ code: 'APPRAISAL_TIMEOUT' })
  })
})

describe('the bytes of a long log', () => {
  const log = (size: number) => ({ from: 0, column: 'sha1' as const, data: new Uint8Array(size).fill(7) })
  const withLog = (size: number) => tpm.evidence(nonce, { ima: log(size) })
  const bytesOf = threadThat(`
    const { evidence, part } = job.task
    const data = (part ?? evidence.tpm?.evidence.ima ?? evidence.ima).data
    port.postMessage({ id: job.id, value: { part: { evidence: { ima: { data } }, container: null } } }, [data.buffer])`)

  it.each([
    [65_535, false],
    [65_536, true],
  ])('of %i go to the thread without a copy: %s', async (size, given) => {
    const appraiser = open(bytesOf)
    const [alone, whole] = [withLog(size), { tdx: null, tpm: { evidence: withLog(size), container: null } }]
    await appraiser.fixContainer(alone)
    await appraiser.appraise(whole, inputs)
    const part = log(size)
    await appraiser.stageImaPart(part, { ...asked, selection: 'any' })
    const left = [alone.ima, whole.tpm.evidence.ima, part].map((gone) => gone?.data.length)
    expect(left).toEqual(new Array(3).fill(given ? 0 : size))
  })

  it('come back with the container that was made of them, and its digest', () => {
    const evidence = withLog(100_000)
    const fixed = performTask({ do: 'fixContainer', evidence })
    const part = tpmPartOf(evidence)
    expect(fixed).toEqual({ part, devices: digestDevices(devicesOf({ tdx: null, tpm: part })) })
    expect(buffersOfResult(fixed)).toHaveLength(2)
  })

  it('are never those of a shared buffer', () => {
    const shared = { ...log(0), data: new Uint8Array(new SharedArrayBuffer(100_000)) }
    const part = { do: 'stageImaPart', part: shared, inputs: { ...asked, selection: 'any' } } as const
    expect(buffersOfTask(part)).toEqual([])
  })
})

describe('what passes between the threads', () => {
  const guest = new SimulatedGuest()
  const [both, asked] = [guest.both(seed), guest.inputs(seed)]
  const refused = { ...asked, tdx: asked.tdx && { ...asked.tdx, policy: { minTcbEvalNum: 99 } } }

  it.each<[string, GuestEvidence, GuestInputs]>([
    ['affirmed', both, asked],
    ['refused', both, refused],
    ['malformed', { ...both, tdx: { ...both.tdx, quote: new Uint8Array(2000) } }, asked],
  ])('is the same behind a structured clone, for evidence of a TD that is %s', (_what, given, wanted) => {
    const here = appraiseGuest(given, wanted)
    const there = structuredClone(appraiseGuest(structuredClone(given), structuredClone(wanted)))
    expect(there).toEqual(here)
  })
})
