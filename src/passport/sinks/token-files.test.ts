import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { sinkRequest } from '../../../test/support/sink-rig.ts'
import type { Sink } from './sink.ts'
import { type PlannedSink, TokenFiles } from './token-files.ts'

const plan = (name: string, path: string, change: Partial<Sink> = {}, settings: unknown = null): PlannedSink => ({
  sink: {
    name,
    path,
    request: sinkRequest,
    format: { kind: 'text' },
    maxCharacters: 20_000,
    onExpiry: 'remove',
    removeOnStop: false,
    ...change,
  },
  settings,
})

/** Token files whose keepers only tell what became of them. */
function rig(...plans: readonly PlannedSink[]) {
  const story: string[] = []
  const stop = new AbortController()
  const files = new TokenFiles(plans, new FakeClock(), ({ sink: { name } }) => ({
    keep: (signal) => {
      story.push(`${name} begins`)
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          story.push(`${name} ends`)
          resolve()
        })
      })
    },
    hear: ({ event }) => void story.push(`${name} hears ${event}`),
    abandon: () => void story.push(`${name} is abandoned`),
    status: () => {
      throw new TypeError('not asked for here')
    },
    failing: () => (name === 'two' ? 'empty' : null),
  }))
  const kept = files.keep(stop.signal)
  const adopt = async (...next: readonly PlannedSink[]) => {
    story.length = 0
    files.adopt(next)
    await settled()
    return story
  }
  const end = async () => {
    stop.abort('stop')
    await kept
  }
  return { files, story, adopt, end }
}

describe('the token files of a configuration (BRK-142)', () => {
  const [one, two] = [plan('one', '/run/t/one'), plan('two', '/run/t/two')]

  it('go on undisturbed where nothing changed, and in any order', async () => {
    const { story, adopt, end } = rig(one, two)
    await settled()
    expect(story).toEqual(['one begins', 'two begins'])
    expect(await adopt(two, { ...one })).toEqual([])
    await end()
  })

  it('that are configured no more are abandoned; so nobody finds a token that nobody renews', async () => {
    const { adopt, end } = rig(one, two)
    await settled()
    expect(await adopt(two)).toEqual(['one is abandoned', 'one ends'])
    await end()
  })

  it.each<[string, PlannedSink]>([
    ['another name', plan('uno', '/run/t/one')],
    ['another format', plan('one', '/run/t/one', { format: { kind: 'json', member: 'id_token' } })],
    ['another mode', plan('one', '/run/t/one', {}, { mode: 0o444 })],
  ])('with %s are kept anew, and the file stays where it is meanwhile', async (_, changed) => {
    const { adopt, end } = rig(one)
    await settled()
    expect(await adopt(changed)).toEqual(['one ends', `${changed.sink.name} begins`])
    await end()
  })

  it('at another path leave the old one without a file', async () => {
    const { adopt, end } = rig(one)
    await settled()
    expect(await adopt(plan('one', '/run/t/other'))).toEqual(['one is abandoned', 'one ends', 'one begins'])
    await end()
  })

  it('hear of events, and say by their position which of them fails (API-119)', async () => {
    const { files, story, end } = rig(one, two)
    expect(files.failing()).toEqual(['sink:0:waiting', 'sink:1:waiting'])
    await settled()
    files.hear({ event: 'draining' })
    expect(story.slice(2)).toEqual(['one hears draining', 'two hears draining'])
    expect(files.failing()).toEqual(['sink:1:empty'])
    await end()
  })
})
