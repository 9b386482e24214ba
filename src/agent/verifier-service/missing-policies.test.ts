import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { warnOfMissing } from './missing-policies.ts'

const text = Buffer.from('version= 1.2;authorizationrules{=> permit();};issuancerules{};')

function room() {
  const store = new MemoryPolicyStore()
  const book = new PolicyBook({ store, clock: new FakeClock(), random: randomBytes, signsTokens: () => false })
  const said: Record<string, unknown>[] = []
  const warn = (facts: unknown) => void said.push(facts as Record<string, unknown>)
  return { book, said, warn }
}

describe('policies that are evaluated by default and are nowhere', () => {
  it('are told by their ids when the service starts; those of files, shipped ones and the store are there', async () => {
    const { book, said, warn } = room()
    await book.set('id:site', text, 'tests')
    await warnOfMissing(['site', 'of-file', 'attestd-default-tdx-v1', 'absent'], ['of-file'], book, { warn })
    expect(said).toEqual([
      { event: 'policy_missing', policy: 'absent', remedy: expect.stringContaining('policies set --id absent FILE') },
    ])
  })

  it('are looked for in vain where the store fails, and the log says so', async () => {
    const { said, warn } = room()
    const active = () => Promise.reject(storeErrors.error('registry_unavailable', 'gone'))
    await warnOfMissing(['one'], [], { active }, { warn })
    expect(said).toEqual([{ event: 'policies_not_seen', code: 'registry_unavailable' }])
  })

  it('are no reason to go on after a bug', async () => {
    const active = () => Promise.reject(new TypeError('bug'))
    await expect(warnOfMissing(['one'], [], { active }, room())).rejects.toThrow('bug')
  })
})
