import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import { signPolicy } from '../../policies/index.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { SignerBook } from '../../registry/policies/signer-book.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { untrustedPolicies, warnOfUntrusted } from './untrusted-policies.ts'

const text = Buffer.from('version= 1.2;authorizationrules{=> permit();};issuancerules{};')
const [ann, bob] = [makePolicySigner('P-256'), makePolicySigner('P-256')]

function room() {
  const options = {
    store: new MemoryPolicyStore(),
    clock: new FakeClock(),
    random: randomBytes,
    signsTokens: () => false,
  }
  const books = { policies: new PolicyBook(options), signers: new SignerBook(options) }
  const said: Record<string, unknown>[] = []
  const warn = (facts: unknown) => void said.push(facts as Record<string, unknown>)
  return { ...books, books, said, warn }
}

describe('policies that stay active without trust in who signed them (POL-704)', () => {
  it('are those of signers who were removed, and those from before there was one', async () => {
    const { books, policies, signers, said, warn } = room()
    await policies.set('id:early', text, 'tests')
    expect(await untrustedPolicies(books)).toEqual([])
    for (const { authority } of [ann, bob]) await signers.addLocally(authority.certificate.der, 'tests')
    const signed = (signer: typeof ann) => Buffer.from(signPolicy(text, signer))
    await policies.set('type:TdxVm', signed(ann), 'tests')
    await policies.set('id:bob', signed(bob), 'tests')
    expect(await untrustedPolicies(books)).toEqual(['id:early'])
    await signers.removeLocally(ann.authority.certificate.der, 'tests')
    expect(await untrustedPolicies(books)).toEqual(['id:early', 'type:TdxVm'])
    expect((await policies.active('type:TdxVm'))?.version.number).toBe(1)
    await warnOfUntrusted(books, { warn })
    expect(said).toEqual([
      { event: 'policy_signer_untrusted', policy: 'id:early', remedy: expect.stringContaining('set --id early FILE') },
      { event: 'policy_signer_untrusted', policy: 'type:TdxVm', remedy: expect.stringContaining('--type TdxVm FILE') },
    ])
    await policies.set('type:TdxVm', signed(bob), 'tests')
    expect(await untrustedPolicies(books)).toEqual(['id:early'])
    await signers.removeLocally(bob.authority.certificate.der, 'tests')
    expect(await untrustedPolicies(books)).toEqual([])
  })

  it('are not seen where the store fails, which stops nothing', async () => {
    const { policies, said, warn } = room()
    const history = () => Promise.reject(storeErrors.error('registry_unavailable', 'gone'))
    expect(await untrustedPolicies({ policies, signers: { history } })).toBeNull()
    await warnOfUntrusted({ policies, signers: { history } }, { warn })
    expect(said).toEqual([])
    const bug = () => Promise.reject(new TypeError('bug'))
    await expect(untrustedPolicies({ policies, signers: { history: bug } })).rejects.toThrow('bug')
  })
})
