import { describe, expect, it, onTestFinished } from 'vitest'
import { settled } from '../../test/support/fake-clock.ts'
import { abandonable, runTogether, type Task } from './tasks.ts'

/** What ends a process that listens to nothing. */
function hearUnhandledRejections(): unknown[] {
  const heard: unknown[] = []
  const hear = (reason: unknown) => void heard.push(reason)
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', hear)
  onTestFinished(() => {
    process.off('unhandledRejection', hear)
    for (const other of others) process.on('unhandledRejection', other)
  })
  return heard
}

const untilAborted: Task = (signal) =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

describe('what may be given up', () => {
  it('settles like the promise while the signal is quiet', async () => {
    const { signal } = new AbortController()
    expect(await abandonable(Promise.resolve(7), signal)).toBe(7)
    await expect(abandonable(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed')
  })

  it.each(['before', 'while'])('gives the reason of a signal that aborts %s it is waited for', async (when) => {
    const stop = new AbortController()
    if (when === 'before') stop.abort(new Error('enough'))
    const waiting = abandonable(new Promise(() => undefined), stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it.each(['before', 'while'])(
    'a failure that nobody waits for any more is heard by nobody (aborted %s)',
    async (when) => {
      const heard = hearUnhandledRejections()
      const stop = new AbortController()
      if (when === 'before') stop.abort(new Error('enough'))
      let fail: (reason: Error) => void = () => undefined
      const work = new Promise<never>((_, reject) => {
        fail = reject
      })
      const waiting = abandonable(work, stop.signal)
      stop.abort(new Error('enough'))
      await expect(waiting).rejects.toThrow('enough')
      fail(new Error('too late'))
      await settled(5)
      expect(heard).toEqual([])
    },
  )

  it('keeps no listener on a signal that lives on', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = ((...given: Parameters<typeof add>) => {
      listeners++
      add(...given)
    }) as typeof add
    signal.removeEventListener = ((...given: Parameters<typeof remove>) => {
      listeners--
      remove(...given)
    }) as typeof remove
    await abandonable(Promise.resolve(1), signal)
    await abandonable(Promise.reject(new Error('failed')), signal).catch(() => undefined)
    await settled(5)
    expect(listeners).toBe(0)
  })
})

describe('tasks that run together', () => {
  it('all end when the outer signal aborts, which is no error', async () => {
    const stop = new AbortController()
    const together = runTogether(stop.signal, untilAborted, untilAborted)
    stop.abort(new Error('stop'))
    await together
  })

  it('may all wait for their signal, without a warning of Node past the log', async () => {
    const warnings: Error[] = []
    const hear = (warning: Error) => void warnings.push(warning)
    process.on('warning', hear)
    onTestFinished(() => void process.off('warning', hear))
    const stop = new AbortController()
    const together = runTogether(stop.signal, ...Array.from({ length: 30 }, () => untilAborted))
    stop.abort(new Error('stop'))
    await together
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  })

  it('one that fails stops the others, and its error is thrown when all have ended', async () => {
    const ended: string[] = []
    const slow: Task = async (signal) => {
      await untilAborted(signal)
      await settled(3)
      ended.push('slow')
    }
    const failing = runTogether(new AbortController().signal, slow, async () => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
    expect(ended).toEqual(['slow'])
  })

  it('the first failure is thrown, not what follows from it', async () => {
    const follower: Task = async (signal) => {
      await untilAborted(signal)
      throw new Error('follows')
    }
    await expect(
      runTogether(new AbortController().signal, follower, async () => Promise.reject(new Error('first'))),
    ).rejects.toThrow('first')
  })

  it('a task that rejects with the reason of the abort has just stopped', async () => {
    const stop = new AbortController()
    const rethrowing: Task = async (signal) => {
      await untilAborted(signal)
      throw signal.reason
    }
    const together = runTogether(stop.signal, rethrowing)
    stop.abort(new Error('stop'))
    await together
  })

  it('an outer signal that has aborted before stops what then starts', async () => {
    let aborted: boolean | undefined
    await runTogether(AbortSignal.abort(new Error('stop')), async (signal) => {
      aborted = signal.aborted
    })
    expect(aborted).toBe(true)
  })
})
