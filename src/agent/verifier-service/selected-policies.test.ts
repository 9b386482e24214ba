import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { defaultPolicyFor, policyDigest } from '../../policies/index.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import type { AppraisalPolicy, TextPolicy } from '../embedded/appraisal-policies.ts'
import { SelectedPolicies } from './selected-policies.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const policyNumbered = (number: number) =>
  `version= 1.2;authorizationrules{=> permit();};issuancerules{=> issue(type="n", value=${number});};`
const documents = 'version= 1.2;authorizationrules{c:[type=="tdx.events"] => permit();};issuancerules{};'

async function room(usual: readonly string[] | null = null, files: readonly TextPolicy[] = []) {
  const store = new MemoryPolicyStore()
  const book = new PolicyBook({ store, clock: new FakeClock(), random: randomBytes, signsTokens: () => false })
  const set = (id: string, text: string) => book.set(`id:${id}`, bytes(text), 'tests')
  await set('one', policyNumbered(1))
  await set('two', policyNumbered(2))
  return { book, set, policies: new SelectedPolicies({ book, files, usual }) }
}

const textOf = ([first]: readonly AppraisalPolicy[]) => (first !== undefined && 'text' in first ? first.text : null)
const idsOf = (policies: readonly { readonly id: string }[]) => policies.map(({ id }) => id)
const shipped = defaultPolicyFor(['tdx'])

describe('the policies of a request (POL-442, SVC-08)', () => {
  it('are those of the store, in the order of the request, each once, with the hash of their bytes (POL-711)', async () => {
    const { policies } = await room()
    const selected = await policies.select(['two', 'one', 'two'])
    expect(idsOf(selected)).toEqual(['two', 'one'])
    expect(selected[0]).toMatchObject({ text: policyNumbered(2), hash: policyDigest(bytes(policyNumbered(2))) })
  })

  it('are read by two requests to the store for a thousand at a time, and what was set meanwhile is seen', async () => {
    const { book, set } = await room()
    let reads = 0
    const active = (slot: string) => {
      reads += 1
      return book.active(slot)
    }
    const policies = new SelectedPolicies({ book: { active }, files: [], usual: ['one'] })
    const first = policies.select([])
    await set('one', policyNumbered(7))
    const later = await Promise.all(Array.from({ length: 1_000 }, () => policies.select(['one'])))
    expect(new Set(later.map(textOf))).toEqual(new Set([policyNumbered(7)]))
    await first
    expect(reads).toBe(3)
  })

  it('are looked for once each, however often a request names them', async () => {
    const { book } = await room()
    const looked: string[] = []
    const active = (slot: string) => {
      looked.push(slot)
      return book.active(slot)
    }
    const policies = new SelectedPolicies({ book: { active }, files: [], usual: ['two'] })
    await policies.select(['one', 'default', 'one', 'default', 'one'])
    expect(looked).toEqual(['id:one', 'id:two'])
  })

  it('are those that are in force at this moment', async () => {
    const { set, policies, book } = await room()
    await policies.select(['one'])
    await set('one', policyNumbered(3))
    expect(textOf(await policies.select(['one']))).toBe(policyNumbered(3))
    await book.restore('id:one', 1, 'tests')
    expect(textOf(await policies.select(['one']))).toBe(policyNumbered(1))
  })

  it('are the shipped default for TDs where none is named and none is configured (POL-441)', async () => {
    const { policies } = await room()
    const [only, ...others] = await policies.select([])
    expect([only?.id, textOf(await policies.select([])), others]).toEqual([shipped.name, shipped.text, []])
    expect(await policies.select([shipped.name])).toEqual([only])
  })

  it('are the configured ones where none is named, and where `default` is', async () => {
    const { policies } = await room(['two', 'one'])
    expect(idsOf(await policies.select([]))).toEqual(['two', 'one'])
    expect(idsOf(await policies.select(['one', 'default']))).toEqual(['one', 'two'])
  })

  it('are those of files before those of the store: what came with the machine is not replaced from outside', async () => {
    const file = { id: 'one', text: policyNumbered(7), hash: policyDigest(bytes(policyNumbered(7))), documents: false }
    const { policies } = await room(['one'], [file])
    expect(await policies.select([])).toEqual([file])
    expect(idsOf(await policies.select(['two', 'one']))).toEqual(['two', 'one'])
  })

  it('keep a byte order mark, which counts in their hash (POL-711)', async () => {
    const { set, policies } = await room()
    const marked = `\ufeff${policyNumbered(5)}`
    await set('marked', marked)
    expect(await policies.select(['marked'])).toMatchObject([{ text: marked, hash: policyDigest(bytes(marked)) }])
  })

  it('can tell whether documents are asked for', async () => {
    const { set, policies } = await room()
    await set('documents', documents)
    expect(await policies.select(['one', 'documents'])).toMatchObject([{ documents: false }, { documents: true }])
  })

  it.each([
    [['absent'], 'policy_ids[0]'],
    [['one', 'two', 'absent'], 'policy_ids[2]'],
    [['one', 'absent', 'other'], 'policy_ids[1]'],
  ])('%j: the first that nobody knows is named by its place, and nothing is skipped', async (ids, field) => {
    const { policies } = await room()
    await expect(policies.select(ids)).rejects.toMatchObject({ code: 'AS.REQUEST.INVALID_ARGUMENT', facts: { field } })
  })

  it('are none of a type: those are for the façade alone', async () => {
    const { book, policies } = await room()
    await book.set('type:TdxVm', bytes(policyNumbered(9)), 'tests')
    await expect(policies.select(['TdxVm'])).rejects.toMatchObject({ code: 'AS.REQUEST.INVALID_ARGUMENT' })
  })

  it('is no token while a default is missing from the store, whatever else is there', async () => {
    const { set, policies } = await room(['one', 'late'])
    const refusal = { code: 'AS.SERVICE.POLICY_MISSING', retryable: true, facts: { policy_id: 'late' } }
    await expect(policies.select([])).rejects.toMatchObject(refusal)
    await expect(policies.select(['default'])).rejects.toMatchObject(refusal)
    await set('late', policyNumbered(4))
    expect(idsOf(await policies.select([]))).toEqual(['one', 'late'])
  })

  it.each(['registry_unavailable', 'registry_access', 'registry_corrupt'] as const)(
    'is no token while the store cannot be read (%s), and nothing is told of the store',
    async (code) => {
      const active = () => Promise.reject(storeErrors.error(code, 'db.internal'))
      const policies = new SelectedPolicies({ book: { active }, files: [], usual: ['one'] })
      for (const ids of [[], ['one'], [shipped.name, 'two']]) {
        const refusal: unknown = await policies.select(ids).catch((error: unknown) => error)
        const remedy = expect.stringContaining('attestd verifier status')
        expect(refusal).toMatchObject({ code: 'AS.DEPENDENCY.UNAVAILABLE', facts: { cause_code: code }, remedy })
        expect(String(refusal)).not.toContain('internal')
      }
      const broken = { active: () => Promise.reject(new TypeError('a bug')) }
      const buggy = new SelectedPolicies({ book: broken, files: [], usual: ['one'] })
      await expect(buggy.select([])).rejects.toThrow(TypeError)
    },
  )

  it('is a refusal at once while somebody else asks whether the store is back', async () => {
    const { book } = await room()
    let asked = 0
    const active = (slot: string) => {
      asked += 1
      return slot === 'id:one' ? book.active(slot) : new Promise<never>(() => undefined)
    }
    let away: ReturnType<typeof storeErrors.error> | null = null
    const policies = new SelectedPolicies({ book: { active }, away: () => away, files: [], usual: ['one'] })
    void policies.select(['two'])
    expect(idsOf(await policies.select([]))).toEqual(['one'])
    away = storeErrors.error('registry_unavailable', 'db.internal')
    const refusal = { code: 'AS.DEPENDENCY.UNAVAILABLE', facts: { cause_code: 'registry_unavailable' } }
    await expect(policies.select(['two'])).rejects.toMatchObject(refusal)
    expect([asked, idsOf(await policies.select([shipped.name]))]).toEqual([2, [shipped.name]])
  })

  it('is no token for a policy that does not load any more', async () => {
    const active = async () => ({ policy: bytes('version= 9.9;') }) as never
    const policies = new SelectedPolicies({ book: { active }, files: [], usual: null })
    await expect(policies.select(['old'])).rejects.toMatchObject({ code: 'AS.SERVICE.POLICY_MISSING' })
  })

  it('are right however many there are: what is kept is bounded, and not mixed up', async () => {
    const { set, policies } = await room()
    const numbers = Array.from({ length: 80 }, (_, at) => at + 100)
    for (const number of numbers) await set(`p${number}`, policyNumbered(number))
    for (const number of [...numbers, ...numbers]) {
      expect(textOf(await policies.select([`p${number}`]))).toBe(policyNumbered(number))
    }
  })
})
