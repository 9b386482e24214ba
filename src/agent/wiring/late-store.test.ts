import { describe, expect, it } from 'vitest'
import { storeErrors } from '../../registry/store-errors.ts'
import { LateStore } from './late-store.ts'
import type { OpenRegistryStore } from './registry-store.ts'

type Call = readonly [name: string, ...given: unknown[]]

/** A store that writes down what it is asked, and gives that back. */
function recordingStore(calls: Call[]): OpenRegistryStore {
  const recording = (prefix: string, more: object = {}) =>
    new Proxy(more, {
      get: (target, name) => {
        if (name === 'then') return undefined
        if (Object.hasOwn(target, name)) return Reflect.get(target, name)
        return async (...given: unknown[]) => {
          const call: Call = [`${prefix}${String(name)}`, ...given]
          calls.push(call)
          return call
        }
      },
    })
  return recording('', { policies: recording('policies.') }) as OpenRegistryStore
}

function room(failures = 0) {
  const calls: Call[] = []
  let opened = 0
  const open = async () => {
    opened += 1
    if (opened <= failures) throw storeErrors.error('registry_unavailable', 'nobody answers')
    return recordingStore(calls)
  }
  return { store: new LateStore(open), calls, opened: () => opened }
}

const asked: readonly (readonly [keyof OpenRegistryStore & string, readonly unknown[]])[] = [
  ['findByAk', ['a']],
  ['findByEk', ['b']],
  ['findByEkKey', ['c']],
  ['findByIdentity', [{ kind: 'x' }]],
  ['list', ['d']],
  ['commit', [[1], [2]]],
  ['history', ['e']],
]
const askedOfPolicies: readonly (readonly [keyof OpenRegistryStore['policies'], readonly unknown[]])[] = [
  ['situation', ['id:a']],
  ['active', ['id:b']],
  ['version', ['id:c', 3]],
  ['versions', ['id:d', 4]],
  ['activations', ['id:e']],
  ['slots', []],
  ['signers', []],
  ['commit', [{ expected: 1 }]],
]

/** Whatever is asked, with whatever is given: what the compiler knows of both is not the matter here. */
const ask = (of: object, name: string, given: readonly unknown[]): Promise<unknown> =>
  (Reflect.get(of, name) as (...all: readonly unknown[]) => Promise<unknown>)(...given)

describe('a store whose server answers late', () => {
  it.each(asked)('%s goes to the store, with what was given, and its answer comes back', async (name, given) => {
    const { store, calls } = room()
    expect(await ask(store, name, given)).toEqual([name, ...given])
    expect(calls).toEqual([[name, ...given]])
  })

  it.each(askedOfPolicies)('policies.%s goes to the policies of the store', async (name, given) => {
    const { store, calls } = room()
    const call = [`policies.${name}`, ...given]
    expect(await ask(store.policies, name, given)).toEqual(call)
    expect(calls).toEqual([call])
  })

  it('is opened when it is needed, once for all who ask at once', async () => {
    const { store, opened } = room()
    expect(opened()).toBe(0)
    await Promise.all([store.findByAk('a'), store.policies.slots(), store.history('b')])
    await store.findByAk('c')
    expect(opened()).toBe(1)
  })

  it('is tried again by the next who needs it, as long as it does not answer', async () => {
    const { store, opened } = room(2)
    for (const _ of [1, 2]) await expect(store.findByAk('a')).rejects.toMatchObject({ code: 'registry_unavailable' })
    expect(await ask(store, 'findByAk', ['a'])).toEqual(['findByAk', 'a'])
    expect(opened()).toBe(3)
  })

  it('is closed if it was opened, and not opened for that', async () => {
    const { store, calls, opened } = room()
    await store[Symbol.asyncDispose]()
    expect(opened()).toBe(0)
    await store.findByAk('a')
    await store[Symbol.asyncDispose]()
    expect(calls.at(-1)?.[0]).toContain('asyncDispose')
  })

  it('that never answered needs no closing', async () => {
    const { store } = room(9)
    await expect(store.findByAk('a')).rejects.toMatchObject({ code: 'registry_unavailable' })
    await expect(store[Symbol.asyncDispose]()).resolves.toBeUndefined()
  })
})
