import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ChangeNotices, type CommandResult } from './commanded-sink.ts'
import type { SinkEvent } from './sink-status.ts'

function notices() {
  const clock = new FakeClock()
  const told: SinkEvent[] = []
  const ends: ((result: CommandResult) => void)[] = []
  const made = new ChangeNotices({
    ...{ name: 'one', clock },
    run: () => new Promise((resolve) => ends.push(resolve)),
    observe: (event) => void told.push(event),
  })
  const stop = new AbortController()
  const keeping = made.keep(stop.signal)
  return { clock, told, ends, made, stop, keeping }
}

const done = { result: 'done', how: 'exit 0', output: '' }

describe('commands after changes', () => {
  it('run one at a time, and once for all changes that came meanwhile', async () => {
    const { clock, ends, made, stop, keeping } = notices()
    await clock.advance(60_000)
    expect(ends).toHaveLength(0)
    made.changed()
    await clock.advance(1)
    for (let n = 0; n < 5; n++) made.changed()
    await clock.advance(60_000)
    expect(ends).toHaveLength(1)
    ends[0]?.(done)
    await clock.advance(1)
    expect(ends).toHaveLength(2)
    ends[1]?.(done)
    await clock.advance(60_000)
    expect(ends).toHaveLength(2)
    expect(made.counts).toEqual({ commands: 2, commandsFailed: 0 })
    stop.abort(new Error('stop'))
    await keeping
    expect(clock.sleeping).toBe(0)
  })

  it('that fail are counted and told', async () => {
    const { clock, ends, made, told, stop, keeping } = notices()
    made.changed()
    await clock.advance(1)
    ends[0]?.({ result: 'timed out', how: 'SIGKILL', output: 'busy' })
    await clock.advance(1)
    expect(made.counts).toEqual({ commands: 1, commandsFailed: 1 })
    const failed = { event: 'sink_command_failed', sink: 'one', result: 'timed out', how: 'SIGKILL', output: 'busy' }
    expect(told).toEqual([failed])
    stop.abort(new Error('stop'))
    await keeping
  })
})
