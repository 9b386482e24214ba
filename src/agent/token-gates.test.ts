import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeProvider } from '../../test/support/workload-room.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { TokenGates } from './token-gates.ts'

const request: TokenRequest = {
  issuer: 'local',
  tokenType: 'OIDC',
  audience: ['https://a.example'],
  nonces: [],
  ttlS: null,
  policyIds: [],
  cnf: null,
  fresh: false,
}
const demand = { minValidS: null, timeoutMs: 1000, caller: 'uid:1' }
const never = new AbortController().signal

describe('a gate', () => {
  it('that is closed lets no token out, neither one at hand nor one to be obtained; describing stays open', async () => {
    let open = true
    const provider = new FakeProvider(new FakeClock())
    provider.atHand = () => ({})
    const gates = new TokenGates()
    gates.add(() => undefined)
    gates.add(() => {
      if (!open) throw new Error('closed')
    })
    const guarded = gates.guard(provider)
    expect(guarded.takeAtHand(request, demand)).toEqual(provider.tokenFor(request))
    expect(await guarded.obtainToken(request, demand, never)).toEqual(provider.tokenFor(request))
    open = false
    expect(() => guarded.takeAtHand(request, demand)).toThrow('closed')
    await expect(guarded.obtainToken(request, demand, never)).rejects.toThrow('closed')
    expect([guarded.describe(request).state, provider.asked.length]).toEqual(['fresh', 1])
  })
})
