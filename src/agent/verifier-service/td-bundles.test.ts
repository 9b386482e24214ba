import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { QuoteOptions } from '../../../mocks/tdx/quotes.ts'
import { debugAttributes } from '../../../mocks/tdx/quotes.ts'
import { createSimulator, type SimulatedTdx } from '../../../mocks/tdx/simulator.ts'
import { encodeCcEventLog } from '../../../test/support/cc-event-logs.ts'
import { directAppraiser } from '../../../test/support/embedded-machine.ts'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import type { TdVerification } from '../../issuer/attestation-api/ports.ts'
import { policyDigest } from '../../policies/index.ts'
import { type RegoEvaluation, regoVerdict } from '../../policies/rego/rego-evaluation.ts'
import { replayCcEventLog } from '../../verifier/index.ts'
import type { AppraisalPolicy, BundledPolicy } from '../embedded/appraisal-policies.ts'
import { TdAppraisals } from './td-appraisals.ts'
import { createTdVerifier } from './td-verifier.ts'

/** Policies of a request to the verifier service: what they are asked about, and how many compiled ones at a time. */

const never = new AbortController().signal
const reportData = new Uint8Array(randomBytes(64))
const clock = new FakeClock(Date.UTC(2026, 5, 1))
let sim: SimulatedTdx
beforeAll(() => {
  sim = createSimulator({ clock })
})

type Evaluate = BundledPolicy['bundle']['evaluateInputs']

const affirming = () => regoVerdict('permit', { trust: [], extensions: [], token: {} })
const bundled = (id: string, evaluateInputs: Evaluate = async () => affirming()): BundledPolicy => ({
  ...{ id, hash: 'b'.repeat(64), settings: {} },
  bundle: { evaluateInputs, required: ['hardware'] },
})
const text = (id: string, condition: string, documents = false): AppraisalPolicy => {
  const policy = `version= 1.2;authorizationrules{${condition} => permit();};issuancerules{};`
  return { id, text: policy, hash: policyDigest(new TextEncoder().encode(policy)), documents }
}

/** A verifier that trusts the maker of simulated TDs, and evaluates these policies. */
function verifierWith(...asked: readonly AppraisalPolicy[]) {
  // The mode alone says simulated: the anchor is taken for a real one.
  const requirements = { trustAnchors: [{ ...sim.pki.anchor, simulator: false }], simulator: true }
  const collateral = { heldFor: () => null, collateralOf: async () => sim.collateral() }
  const appraisals = new TdAppraisals({ pool: directAppraiser, collateral, requirements, clock })
  return createTdVerifier({ appraisals, policies: { select: async () => asked }, requirements, clock })
}

function request(quote: Partial<QuoteOptions> = {}, change: Partial<TdVerification> = {}): TdVerification {
  const given = { quote: sim.quote({ reportData, ...quote }), ccEventLog: null, policyIds: [] }
  const statements = { runtimeData: null, runtimeDataClaims: null, initDataClaims: null }
  return { ...given, reportData, freshness: 'nonce', statements, ...change }
}

const log = encodeCcEventLog(6, 40)
function withLog(): TdVerification {
  const [zero, one, two, three] = replayCcEventLog(parseCcEventLog(log)).registers.map(({ value }) => value)
  if (!zero || !one || !two || !three) return expect.unreachable()
  return request({ rtmr: [zero, one, two, three] }, { ccEventLog: log })
}

describe('a bundle', () => {
  it('is asked beside texts about the events and the time of this appraisal, and named in the outcome (POL-962)', async () => {
    const told: { readonly input: string; readonly now: number }[] = []
    const bundle = bundled('compiled', async (inputs, now) => {
      told.push(...inputs.map((input) => ({ input: Buffer.from(input).toString(), now })))
      return affirming()
    })
    const outcome = await verifierWith(text('all', ''), bundle).verify(withLog(), never)
    expect(outcome.policies.map(({ id }) => id)).toEqual(['builtin', 'all', 'compiled'])
    expect(told).toEqual([{ input: expect.stringContaining('"uefi_event_logs":[{'), now: clock.now() }])
    expect(told[0]?.input).toContain(`"time":${Math.floor(clock.now() / 1000)}`)
  })

  it('counts with what it is given in the hash of the requirements, which the token names (TOK-26)', async () => {
    const given = (settings: BundledPolicy['settings']) => ({ ...bundled('compiled'), settings })
    const hashOf = async (...asked: readonly AppraisalPolicy[]) => {
      const { policies } = await verifierWith(...asked).verify(request(), never)
      return policies.find(({ id }) => id === 'builtin')?.hash
    }
    const [one, other] = [given({ require: ['hardware'] }), given({ require: ['hardware', 'configuration'] })]
    const hashes = [await hashOf(text('all', '')), await hashOf(one), await hashOf(other)]
    expect(new Set(hashes).size).toBe(3)
    expect(await hashOf(text('all', ''), one)).toBe(hashes[1])
  })

  it('that does not affirm denies (POL-429)', async () => {
    const denying = bundled('compiled', () => Promise.resolve({ ...affirming(), verdict: 'deny', reason: 'no-permit' }))
    await expect(verifierWith(text('all', ''), denying).verify(request(), never)).rejects.toMatchObject({
      ...{ code: 'AS.POLICY.DENIED', facts: { policy_id: 'compiled', reason: 'no-permit' } },
    })
  })

  it('is not asked about evidence that is not affirmed (POL-430)', async () => {
    const bundle = bundled('compiled', () => expect.unreachable())
    const outcome = await verifierWith(bundle).verify(request({ tdAttributes: debugAttributes }), never)
    expect(outcome.appraisal.affirmed).toBe(false)
  })
})

describe('bundles of many requests', () => {
  /** Evaluations that are told when to end. */
  function room() {
    const open: ((evaluation: RegoEvaluation) => void)[] = []
    const bundle = bundled('compiled', () => new Promise((resolve) => open.push(resolve)))
    const verifier = verifierWith(bundle)
    const verify = (signal = never) => verifier.verify(request(), signal)
    const endOne = async () => {
      await expect.poll(() => open.length).toBeGreaterThan(0)
      open.shift()?.(affirming())
      await settled()
    }
    return { open, verify, endOne }
  }

  it('are evaluated one at a time: each may take 128 MiB', async () => {
    const { open, verify, endOne } = room()
    const asked = [verify(), verify()]
    await expect.poll(() => open.length).toBe(1)
    await settled(50)
    expect(open.length).toBe(1)
    await endOne()
    await endOne()
    expect(await Promise.all(asked)).toHaveLength(2)
  })

  it('wait for one, 16 at most, and one more when it has ended (SVC-43)', async () => {
    const { open, verify, endOne } = room()
    const first = verify()
    await expect.poll(() => open.length).toBe(1)
    const asked = Array.from({ length: 16 }, () => verify())
    await settled(50)
    await expect(verify()).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED', retryable: true })
    await endOne()
    await first
    const late = verify()
    for (let left = 0; left < 17; left++) await endOne()
    expect(await Promise.all([...asked, late])).toHaveLength(17)
  })

  it('are not evaluated for who has gone away', async () => {
    const { open, verify, endOne } = room()
    const gone = new AbortController()
    const first = verify()
    await expect.poll(() => open.length).toBe(1)
    const second = expect(verify(gone.signal)).rejects.toThrow('gone')
    await settled(50)
    gone.abort(new Error('gone'))
    await endOne()
    await Promise.all([first, second])
    expect(open).toEqual([])
  })
})

describe('texts', () => {
  it('are told the events of the log that the request brought, whichever of them asks for it (POL-432)', async () => {
    const events = text('events', 'c:[type=="tdx.events"]', true)
    const asked = [text('all', ''), events]
    expect((await verifierWith(...asked).verify(withLog(), never)).policies).toHaveLength(3)
    await expect(verifierWith(...asked).verify(request(), never)).rejects.toMatchObject({
      facts: { policy_id: 'events' },
    })
  })

  it('are told the time of the appraisal, and that a verifier in simulator mode judges (TOK-04)', async () => {
    const time = text('time', `c:[type=="attestation.time", value==${Math.floor(clock.now() / 1000)}]`)
    const simulated = text('simulated', 'c:[type=="attestation.simulated", value==true]')
    expect((await verifierWith(time, simulated).verify(request(), never)).policies).toHaveLength(3)
  })
})
