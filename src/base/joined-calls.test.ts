import { describe, expect, it } from 'vitest'
import { JoinedCalls } from './joined-calls.ts'

/** Calls that end when they are told to. */
function room() {
  const begun: { readonly key: string; readonly end: (value: number) => void; readonly fail: (why: Error) => void }[] =
    []
  const calls = new JoinedCalls((key) => new Promise<number>((end, fail) => void begun.push({ key, end, fail })))
  return { begun, calls }
}

describe('calls', () => {
  it('all that come while one runs are answered by the next, and none by the one that ran', async () => {
    const { begun, calls } = room()
    const first = calls.get('a')
    const later = [calls.get('a'), calls.get('a'), calls.get('a')]
    expect(begun).toHaveLength(1)
    begun[0]?.end(1)
    expect(await first).toBe(1)
    await expect.poll(() => begun.length).toBe(2)
    begun[1]?.end(2)
    expect(await Promise.all(later)).toEqual([2, 2, 2])
    expect(begun).toHaveLength(2)
  })

  it('about something else are made at once', () => {
    const { begun, calls } = room()
    void calls.get('a')
    void calls.get('b')
    expect(begun.map(({ key }) => key)).toEqual(['a', 'b'])
  })

  it('that fail fail for who waited for them, and the next is made all the same', async () => {
    const { begun, calls } = room()
    const first = calls.get('a')
    const later = [calls.get('a'), calls.get('a')]
    begun[0]?.fail(new Error('first'))
    await expect(first).rejects.toThrow('first')
    await expect.poll(() => begun.length).toBe(2)
    begun[1]?.fail(new Error('second'))
    for (const one of later) await expect(one).rejects.toThrow('second')
    const afterwards = calls.get('a')
    begun[2]?.end(3)
    expect(await afterwards).toBe(3)
  })

  it('who comes at the very moment when one ends joins those that wait', async () => {
    const { begun, calls } = room()
    const meanwhile: Promise<number>[] = []
    const first = calls.get('a').then(() => meanwhile.push(calls.get('a')))
    const second = calls.get('a')
    begun[0]?.end(1)
    await first
    await expect.poll(() => begun.length).toBe(2)
    begun[1]?.end(2)
    expect([await second, await meanwhile[0]]).toEqual([2, 2])
    expect(begun).toHaveLength(2)
  })
})
