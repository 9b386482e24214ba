import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { encodeUnsignedReset } from '../../policies/signed/encode-policy-jws.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { warnOfShadowed } from './shadowed-policies.ts'

const text = Buffer.from('version= 1.2;authorizationrules{=> permit();};issuancerules{};')

function room() {
  const store = new MemoryPolicyStore()
  const book = new PolicyBook({ store, clock: new FakeClock(), random: randomBytes, signsTokens: () => false })
  const said: Record<string, unknown>[] = []
  const warn = (facts: unknown) => void said.push(facts as Record<string, unknown>)
  return { book, said, warn }
}

describe('policies of the store that a file of the configuration keeps from deciding (POL-442)', () => {
  it('are told by their ids, as long as they are active', async () => {
    const { book, said, warn } = room()
    for (const id of ['one', 'two', 'three']) await book.set(`id:${id}`, text, 'tests')
    await book.set('type:Tpm', text, 'tests')
    await book.reset('id:two', encodeUnsignedReset(), 'tests')
    await warnOfShadowed(['one', 'two', 'Tpm', 'never'], book, { warn })
    expect(said).toEqual([
      { event: 'policy_shadowed', policy: 'one', remedy: expect.stringContaining('policies reset --id one') },
    ])
  })

  it('are looked for in vain where the store fails, and the log says so', async () => {
    const { said, warn } = room()
    const active = () => Promise.reject(storeErrors.error('registry_unavailable', 'gone'))
    await warnOfShadowed(['one'], { active }, { warn })
    expect(said).toEqual([{ event: 'policies_not_compared', code: 'registry_unavailable' }])
  })

  it('are no reason to go on after a bug', async () => {
    const active = () => Promise.reject(new TypeError('bug'))
    await expect(warnOfShadowed(['one'], { active }, room())).rejects.toThrow('bug')
  })
})
