import { describe, expect, it } from 'vitest'
import { Turns } from './turns.ts'

describe('turns', () => {
  it('are taken one after another, also behind one that failed, and skipped when nobody waits any more', async () => {
    const turns = new Turns()
    const seen: string[] = []
    const gone = new AbortController()
    let release = () => {}
    const first = turns.take(async () => {
      seen.push('first begins')
      await new Promise<void>((resolve) => {
        release = resolve
      })
      seen.push('first ends')
      throw new Error('failed')
    })
    const second = turns.take(async () => seen.push('second'), gone.signal)
    const third = turns.take(async () => seen.push('third'))
    gone.abort(new Error('nobody waits'))
    await Promise.resolve()
    release()
    await expect(first).rejects.toThrow('failed')
    await expect(second).rejects.toThrow('nobody waits')
    await third
    expect(seen).toEqual(['first begins', 'first ends', 'third'])
  })
})
