import { describe, expect, it } from 'vitest'
import type { Appraiser } from '../embedded/appraiser.ts'
import { AppraiserPool, usualThreads } from './appraiser-pool.ts'

type Job = Parameters<Appraiser['appraiseTd']>

/** Threads that are told when to be done, and with what. */
function room(size: number) {
  const open: { readonly thread: number; readonly end: (error?: Error) => void }[] = []
  const given: Job[] = []
  let [made, closed] = [0, 0]
  const create = () => {
    const thread = made++
    return {
      appraiseTd: (...job: Job) =>
        new Promise<never>((resolve, reject) => {
          given.push(job)
          open.push({ thread, end: (error) => (error ? reject(error) : resolve(thread as never)) })
        }),
      judgeMaa: () =>
        new Promise<null>((resolve) => {
          open.push({ thread, end: () => resolve(null) })
        }),
      [Symbol.asyncDispose]: async () => {
        closed += 1
      },
    }
  }
  const pool = new AppraiserPool({ size, create })
  const appraise = () => pool.appraiseTd(...([] as unknown as Job))
  return { pool, appraise, open, given, closed: () => closed }
}

describe('threads for appraisals (SVC-43)', () => {
  it('get a job each before one gets a second', () => {
    const { appraise, open } = room(3)
    const jobs = Array.from({ length: 6 }, appraise)
    expect(open.map(({ thread }) => thread)).toEqual([0, 1, 2, 0, 1, 2])
    expect(jobs).toHaveLength(6)
  })

  it('that are done first get the next job', async () => {
    const { appraise, open } = room(2)
    const jobs = Array.from({ length: 4 }, appraise)
    for (const job of open.filter(({ thread }) => thread === 1)) job.end()
    await jobs[1]
    await jobs[3]
    void appraise()
    expect(open.at(-1)?.thread).toBe(1)
  })

  it('refuse at once what would wait behind four others, and take it when one has ended, well or badly', async () => {
    const { appraise, open } = room(2)
    const jobs = Array.from({ length: 10 }, appraise)
    await expect(appraise()).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED', retryable: true })
    expect(open).toHaveLength(10)
    open[0]?.end(new Error('broken'))
    await expect(jobs[0]).rejects.toThrow('broken')
    void appraise()
    expect(open).toHaveLength(11)
    await expect(appraise()).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED' })
  })

  it('say how many jobs they have together', async () => {
    const { pool, appraise, open } = room(2)
    const jobs = Array.from({ length: 3 }, appraise)
    expect(pool.jobs).toBe(3)
    for (const job of open) job.end()
    await Promise.all(jobs)
    expect(pool.jobs).toBe(0)
  })

  it('are given all of a job', () => {
    const { pool, given } = room(1)
    const job = [{}, {}, {}] as unknown as Job
    void pool.appraiseTd(...job)
    expect(given).toEqual([job])
    expect(given[0]?.map((part, at) => part === job[at])).toEqual([true, true, true])
  })

  it('take policies of façades as one more job each', async () => {
    const { pool, open } = room(2)
    const judge = () => pool.judgeMaa({} as Parameters<Appraiser['judgeMaa']>[0])
    const jobs = Array.from({ length: 10 }, judge)
    expect(open.map(({ thread }) => thread)).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    await expect(judge()).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED' })
    open[0]?.end()
    expect(await jobs[0]).toBe(null)
  })

  it('are all ended with the pool', async () => {
    const { pool, closed } = room(3)
    await pool[Symbol.asyncDispose]()
    expect(closed()).toBe(3)
  })
})

describe('threads of a service that names no number (SVC-43)', () => {
  it.each([
    [1, 1],
    [7, 7],
    [8, 8],
    [9, 8],
    [256, 8],
  ])('are of %d processors %d', (processors, threads) => {
    expect(usualThreads(processors)).toBe(threads)
  })
})
