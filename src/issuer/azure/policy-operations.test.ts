import { describe, expect, it } from 'vitest'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { readPublicKey } from '../../base/pki/public-key.ts'
import {
  azureParsingError,
  certificateThumbprint,
  describeCertificate,
  describeSigner,
  encodeUnsignedPolicy,
  type PolicySigner,
  parsePolicy,
} from '../../policies/index.ts'
import { shippedPolicyOf, slotOfType } from './azure-types.ts'
import {
  answerCertificates,
  answerPolicy,
  changeCertificate,
  type PolicyAdministration,
  resetPolicy,
  setPolicy,
} from './policy-operations.ts'

/** What each operation hands on and answers, whatever keeps the policies. */

const { certificate } = makePolicySigner('P-256').authority
const policy = new TextEncoder().encode('version=1.0;authorizationrules{=>permit();};issuancerules{};')
const bytes = (text: string) => new TextEncoder().encode(text)
const slot = slotOfType('TdxVm')
const unused: PolicyAdministration = {
  active: () => expect.unreachable(),
  set: () => expect.unreachable(),
  reset: () => expect.unreachable(),
}
type Outcome = Awaited<ReturnType<PolicyAdministration['set']>>

/** Keeps what it was handed. */
function keeping(outcome: Outcome) {
  const handed: unknown[][] = []
  const policies: PolicyAdministration = {
    ...unused,
    set: async (...given) => {
      handed.push(given)
      return outcome
    },
    reset: async (...given) => {
      handed.push(given)
      return true
    },
  }
  return { handed, policies }
}

describe('the policy that is shown (POL-901)', () => {
  const shown = (active: Awaited<ReturnType<PolicyAdministration['active']>>) => {
    const slots: string[] = []
    const policies = {
      ...unused,
      active: async (asked: string) => {
        slots.push(asked)
        return active
      },
    }
    return answerPolicy(policies, 'TdxVm').then((answer) => [slots, answer['x-ms-policy']])
  }

  it('is the JWS as it was uploaded, or the unsigned form of the text, or of the shipped policy', async () => {
    expect(await shown({ policy, jws: 'a.b.c' })).toEqual([[slot], 'a.b.c'])
    expect(await shown({ policy, jws: null })).toEqual([[slot], encodeUnsignedPolicy(policy)])
    expect(await shown(null)).toEqual([[slot], encodeUnsignedPolicy(shippedPolicyOf('TdxVm'))])
  })
})

describe('a policy that is set (POL-903)', () => {
  const signerOf = ({ publicKey }: Certificate): PolicySigner => {
    const reading = readPublicKey(publicKey)
    if (!reading.usable) return expect.unreachable()
    return { publicKey, key: reading.publicKey, certificates: [certificate] }
  }
  const signer = signerOf(certificate)

  it('is handed on as it came, for the slot of its type, by its administrator, and its hash is told', async () => {
    const { handed, policies } = keeping({ loaded: true, version: { policyTokenHash: 'h' }, signer: null })
    const around = bytes('x.y.a.b.cz')
    const body = around.subarray(4, 9)
    expect(await setPolicy(policies, 'TdxVm', body, 'ann')).toEqual({
      'x-ms-policy-result': 'Updated',
      'x-ms-policy-token-hash': 'h',
    })
    expect(handed).toEqual([[slot, body, 'ann']])
  })

  it('has its signer told', async () => {
    const { policies } = keeping({ loaded: true, version: { policyTokenHash: 'h' }, signer })
    const answer = await setPolicy(policies, 'TdxVm', bytes('a.b.c'), 'ann')
    expect(answer['x-ms-policy-signer']).toEqual(describeSigner(signer))
  })

  it('that does not load is refused with the message of its first diagnostic (POL-803)', async () => {
    const { diagnostics = [] } = parsePolicy(bytes('version=1.0\nauthorizationrules { => permit(); };'))
    const [first] = diagnostics
    if (first === undefined) return expect.unreachable()
    const { policies } = keeping({ loaded: false, diagnostics })
    await expect(setPolicy(policies, 'TdxVm', bytes('a.b.c'), 'ann')).rejects.toMatchObject({
      ...{ code: 'AZURE_POLICY_ERRORS', message: azureParsingError(first).message },
    })
  })

  it('that does not load is refused also where nothing says why', async () => {
    const { policies } = keeping({ loaded: false, diagnostics: [] })
    await expect(setPolicy(policies, 'TdxVm', bytes('a.b.c'), 'ann')).rejects.toMatchObject({
      ...{ code: 'AZURE_POLICY_ERRORS', message: 'the policy does not load' },
    })
  })
})

describe('what is no compact JWS (POL-902)', () => {
  it.each([
    '',
    'a.b',
    'a.b.c.d',
    ' a.b.c',
    'a.b.c ',
    'a.b.c\n',
    'x\na.b.c',
    'a.b.c=',
    'a.b+.c',
    'ä.b.c',
    'version=1.0;',
  ])('%j is handed on to nobody', async (text) => {
    for (const act of [setPolicy, resetPolicy]) {
      await expect(act(unused, 'TdxVm', bytes(text), 'ann')).rejects.toMatchObject({ code: 'AZURE_REQUEST_INVALID' })
    }
  })
})

describe('a reset (POL-904)', () => {
  it('is handed on with its JWS and nothing beside it, by its administrator', async () => {
    const { handed, policies } = keeping({ loaded: false, diagnostics: [] })
    const body = bytes('x.y.a.b.cz').subarray(4, 9)
    expect(await resetPolicy(policies, 'TdxVm', body, 'ann')).toEqual({ 'x-ms-policy-result': 'Removed' })
    expect(handed).toEqual([[slot, 'a.b.c', 'ann']])
  })
})

describe('signers (POL-708)', () => {
  it.each([
    ['add', 'IsPresent'],
    ['remove', 'IsAbsent'],
  ] as const)('%s: hands on what is asked, and tells that the certificate %s', async (what, result) => {
    const handed: unknown[][] = []
    const changeSigned = async (...given: readonly unknown[]) => {
      handed.push([...given])
      return { certificate }
    }
    const signers = { trusted: () => expect.unreachable(), changeSigned }
    expect(await changeCertificate(signers, what, bytes(' "a.b.c" '), 'ann')).toEqual({
      'x-ms-certificate-thumbprint': certificateThumbprint(certificate),
      'x-ms-policycertificates-result': result,
    })
    expect(handed).toEqual([[what, 'a.b.c', 'ann']])
  })

  it.each(['1', 'null', '{}'])('a body %s changes nothing', async (text) => {
    const signers = { trusted: () => expect.unreachable(), changeSigned: () => expect.unreachable() }
    await expect(changeCertificate(signers, 'add', bytes(text), 'ann')).rejects.toMatchObject({
      code: 'AZURE_REQUEST_INVALID',
    })
  })

  it('are shown as keys, all of them', async () => {
    const signers = { trusted: async () => [certificate, certificate], changeSigned: () => expect.unreachable() }
    const shown = describeCertificate(certificate)
    expect(await answerCertificates(signers)).toEqual({ 'x-ms-policy-certificates': { keys: [shown, shown] } })
  })
})
