import { describe, expect, it } from 'vitest'
import type { BundledPolicy } from './appraisal-policies.ts'
import { BatchVerdicts } from './batch-verdicts.ts'
import type { BundleInput } from './bundle-input.ts'
import type { BundleLane } from './bundle-lane.ts'
import type { JudgedPolicy } from './policy-judge.ts'

const never = new AbortController().signal
const bundle = (id: string) => ({ id }) as unknown as BundledPolicy
const input: BundleInput = { unfit: 'a test' }

/** Verdicts that come when the test says so. */
function room() {
  const begun: { readonly id: string; readonly end: () => void; readonly fail: (why: Error) => void }[] = []
  const judge: BundleLane['judge'] = ({ id }) =>
    new Promise<JudgedPolicy>((resolve, fail) => {
      const judged = { id, evaluation: { verdict: 'deny', reason: 'no-permit' }, lines: [], missed: [] } as const
      begun.push({ id, end: () => resolve(judged), fail })
    })
  const heard: string[] = []
  const lane = { judge } as unknown as BundleLane
  const verdicts = new BatchVerdicts({ lane, input, now: 0, observe: ({ id }) => heard.push(id) })
  return { begun, heard, verdicts, ids: () => begun.map(({ id }) => id) }
}

describe('verdicts of bundles on one batch', () => {
  it('are asked for nobody who has gone before (POL-961)', async () => {
    const { verdicts, ids } = room()
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(verdicts.of([bundle('a'), bundle('b')], gone)).rejects.toThrow('gone')
    expect(ids()).toEqual([])
  })

  it('are asked once, and come for the others when one leaves (POL-429)', async () => {
    const { verdicts, begun, heard, ids } = room()
    const leaving = new AbortController()
    const left = expect(verdicts.of([bundle('a')], leaving.signal)).rejects.toThrow('left')
    const stays = verdicts.of([bundle('b'), bundle('a')], never)
    leaving.abort(new Error('left'))
    await left
    for (const { end } of begun) end()
    expect((await stays).map(({ id }) => id)).toEqual(['b', 'a'])
    expect([ids(), heard]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  it('that cannot be had are refused to all who need them, and to nobody else', async () => {
    const { verdicts, begun } = room()
    const [both, one] = [verdicts.of([bundle('a'), bundle('b')], never), verdicts.of([bundle('b')], never)]
    begun[0]?.fail(new Error('no place'))
    await expect(both).rejects.toThrow('no place')
    await expect(verdicts.of([bundle('a')], never)).rejects.toThrow('no place')
    begun[1]?.end()
    expect(await one).toMatchObject([{ id: 'b' }])
  })
})
