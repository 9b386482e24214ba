import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { QuoteOptions } from '../../../mocks/tdx/quotes.ts'
import { debugAttributes } from '../../../mocks/tdx/quotes.ts'
import { createSimulator, type SimulatedTdx } from '../../../mocks/tdx/simulator.ts'
import { directAppraiser } from '../../../test/support/embedded-machine.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { endorserErrors } from '../../endorser/errors.ts'
import type { TdVerification } from '../../issuer/attestation-api/ports.ts'
import { defaultPolicyFor, policyDigest } from '../../policies/index.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { appraiserErrors } from '../embedded/appraiser.ts'
import { builtinPolicy } from '../embedded/builtin-policy.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { facadeAppraiser } from './facades.ts'
import { SelectedPolicies } from './selected-policies.ts'
import { TdAppraisals } from './td-appraisals.ts'
import { createTdVerifier } from './td-verifier.ts'

const never = new AbortController().signal
const reportData = new Uint8Array(randomBytes(64))
const nothingSaid = { runtimeData: null, runtimeDataClaims: null, initDataClaims: null }
const permit = 'version= 1.2;authorizationrules{=> permit();};issuancerules{};'
const bytes = (text: string) => new TextEncoder().encode(text)
const clock = new FakeClock(Date.UTC(2026, 5, 1))
let sim: SimulatedTdx
beforeAll(() => {
  sim = createSimulator({ clock })
})

interface RoomSpec {
  readonly requirements?: Partial<TdRequirements>
  readonly collateral?: () => Promise<Collateral | null>
  /** Collateral that is at hand; default none. */
  readonly held?: () => Collateral | null
  readonly appraiseTd?: typeof directAppraiser.appraiseTd
  readonly usual?: readonly string[]
}

/** A verifier that trusts the maker of simulated TDs, and counts who was asked for what. */
async function room({
  requirements = {},
  collateral,
  held: heldFor = () => null,
  appraiseTd = directAppraiser.appraiseTd,
  usual = ['all'],
}: RoomSpec = {}) {
  const asked: Uint8Array[] = []
  const store = new MemoryPolicyStore()
  const book = new PolicyBook({ store, clock, random: randomBytes, signsTokens: () => false })
  await book.set('id:all', bytes(permit), 'tests')
  const all = { trustAnchors: [sim.pki.anchor], simulator: true, ...requirements }
  const obtain = collateral ?? (async () => sim.collateral())
  const collateralOf = (quote: Uint8Array) => {
    asked.push(quote)
    return obtain()
  }
  const appraisals = new TdAppraisals({
    pool: { appraiseTd },
    collateral: { heldFor, collateralOf },
    requirements: all,
    clock,
  })
  const looked: string[] = []
  const active = (slot: string) => {
    looked.push(slot)
    return book.active(slot)
  }
  const policies = new SelectedPolicies({ book: { active }, files: [], usual })
  return {
    ...{ asked, looked },
    book,
    appraisals,
    requirements: all,
    verifier: createTdVerifier({ appraisals, policies, requirements: all, clock }),
  }
}

function request(quote: Partial<QuoteOptions> = {}, change: Partial<TdVerification> = {}): TdVerification {
  const given = { quote: sim.quote({ reportData, ...quote }), ccEventLog: null, policyIds: [] }
  return { ...given, reportData, freshness: 'nonce', statements: nothingSaid, ...change }
}

function forged(quote: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(quote)
  copy[200] = (copy[200] ?? 0) ^ 1
  return copy
}

const failed = ({ findings }: { readonly findings: readonly { readonly id: string; readonly outcome: string }[] }) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

describe('evidence of a TD', () => {
  it('is appraised with collateral, and judged by its policies, which the outcome names (POL-711)', async () => {
    const { verifier, requirements } = await room()
    const outcome = await verifier.verify(request(), never)
    expect(outcome.appraisal.affirmed).toBe(true)
    expect(outcome.policies).toEqual([
      builtinPolicy({ tpm: null, td: { requirements } }),
      { id: 'all', hash: policyDigest(bytes(permit)) },
    ])
    expect(outcome.appraisedAtS).toBe(Math.floor(clock.now() / 1000))
    expect(outcome.bounds.map(({ name }) => name).sort()).toEqual(['PCK certificate', 'TDX collateral'])
    expect(outcome.simulated).toBe(true)
  })

  it('gets a shorter token where a policy says so', async () => {
    const { verifier, book } = await room()
    const text =
      'version= 1.2;configurationrules{=> issueproperty(type="report_validity_in_minutes", value=7);};authorizationrules{=> permit();};issuancerules{};'
    await book.set('id:short', bytes(text), 'tests')
    const { bounds, appraisedAtS } = await verifier.verify(request({}, { policyIds: ['short'] }), never)
    expect(bounds).toContainEqual({ name: 'policy', at: appraisedAtS + 420 })
  })

  it('is told apart by its freshness: policies see what the request was bound to', async () => {
    const { verifier, book } = await room()
    const fresh =
      'version= 1.2;authorizationrules{c:[type=="attestation.freshness", value=="challenge"] => permit();};issuancerules{};'
    await book.set('id:fresh', bytes(fresh), 'tests')
    const judged = (freshness: TdVerification['freshness']) =>
      verifier.verify(request({}, { policyIds: ['fresh'], freshness }), never).then(
        () => 'permitted',
        ({ code }) => code,
      )
    expect([await judged('challenge'), await judged('nonce'), await judged('unbound')]).toEqual([
      'permitted',
      'AS.POLICY.DENIED',
      'AS.POLICY.DENIED',
    ])
  })

  it('is judged with what its sender said, which is not the word of the verifier (POL-435)', async () => {
    const { verifier, book } = await room()
    const said = (issuer: string) =>
      `version= 1.2;authorizationrules{c:[type=="runtime.claims", value=="{\\"a\\":1}", issuer=="${issuer}"] => permit();};issuancerules{};`
    await book.set('id:said', bytes(said('CustomClaim')), 'tests')
    await book.set('id:ours', bytes(said('AttestationService')), 'tests')
    const statements = { runtimeData: bytes('{"a":1}'), runtimeDataClaims: { a: 1 }, initDataClaims: null }
    const judged = (id: string, given: TdVerification['statements']) =>
      verifier.verify(request({}, { policyIds: [id], statements: given }), never).then(
        () => 'permitted',
        ({ code }) => code,
      )
    expect(await judged('said', statements)).toBe('permitted')
    expect(await judged('said', nothingSaid)).toBe('AS.POLICY.DENIED')
    expect(await judged('ours', statements)).toBe('AS.POLICY.DENIED')
  })

  it('is not permitted by the shipped default if it is simulated (POL-440)', async () => {
    const { verifier } = await room()
    const { name } = defaultPolicyFor(['tdx'])
    await expect(verifier.verify(request({}, { policyIds: ['all', name] }), never)).rejects.toMatchObject({
      code: 'AS.POLICY.DENIED',
      facts: { policy_id: name },
    })
  })

  it('is appraised once for policies that nobody knows, and costs no collateral (SVC-44)', async () => {
    const jobs: unknown[] = []
    const appraiseTd: typeof directAppraiser.appraiseTd = (...job) => {
      jobs.push(job)
      return directAppraiser.appraiseTd(...job)
    }
    const { verifier, asked } = await room({ appraiseTd })
    await expect(verifier.verify(request({}, { policyIds: ['absent'] }), never)).rejects.toMatchObject({
      facts: { field: 'policy_ids[0]' },
    })
    expect([asked, jobs.length]).toEqual([[], 1])
  })

  it('is simulated where its anchor says so, also if the verifier is in no such mode and refuses it (TOK-04)', async () => {
    const { verifier } = await room({ requirements: { simulator: false } })
    const { appraisal, simulated } = await verifier.verify(request(), never)
    expect([appraisal.affirmed, simulated]).toEqual([false, true])
  })

  it('says everything simulated in simulator mode, whatever the quote says (TOK-04)', async () => {
    const anchor = { ...sim.pki.anchor, simulator: false }
    const { verifier, appraisals, requirements } = await room({ requirements: { trustAnchors: [anchor] } })
    expect((await verifier.verify(request(), never)).simulated).toBe(true)
    const { quote } = request()
    expect((await facadeAppraiser(appraisals, requirements, clock).appraise(quote, reportData)).simulated).toBe(true)
  })
})

describe('evidence against which something speaks', () => {
  it.each<readonly [string, Partial<QuoteOptions>, Partial<TdVerification>, RoomSpec, string]>([
    ['a debuggable TD', { tdAttributes: debugAttributes }, {}, {}, 'tdx.policy.debug'],
    ['other report data', {}, { reportData: new Uint8Array(64) }, {}, 'tdx.reportData'],
    ['a maker who is not trusted', {}, {}, { requirements: { trustAnchors: [] } }, 'tdx.pck.anchor'],
    ['other measurements', {}, {}, { requirements: { references: { mrTd: [new Uint8Array(48)] } } }, 'tdx.references'],
  ])(
    '%s: nobody is asked for collateral, and its lack is not what is told (SVC-44)',
    async (_, quote, change, spec, id) => {
      const { verifier, asked } = await room(spec)
      const outcome = await verifier.verify(request(quote, change), never)
      expect(outcome).toMatchObject({ policies: [], bounds: [], appraisal: { affirmed: false, claims: {} } })
      expect(failed(outcome.appraisal)).toEqual([id])
      expect(outcome.appraisal.findings.find((finding) => finding.id === 'tdx.collateral.present')?.outcome).toBe(
        'unreached',
      )
      expect(asked).toEqual([])
    },
  )

  it('a log that is demanded and not there is told beside what else is wrong', async () => {
    const { verifier, asked } = await room({ requirements: { eventLog: { requirement: 'required' } } })
    const forgery = await verifier.verify(request({ tdAttributes: debugAttributes }), never)
    expect(failed(forgery.appraisal)).toEqual(['tdx.policy.debug', 'tdx.eventlog.present'])
    expect(asked).toEqual([])
    const genuine = await verifier.verify(request(), never)
    expect(failed(genuine.appraisal)).toEqual(['tdx.eventlog.present'])
    expect(asked).toHaveLength(1)
  })

  it('a forged signature: the same', async () => {
    const { verifier, asked } = await room()
    const { quote, ...rest } = request()
    const outcome = await verifier.verify({ ...rest, quote: forged(quote) }, never)
    expect(failed(outcome.appraisal)).toContain('tdx.quote.signature')
    expect(asked).toEqual([])
  })

  it.each([['absent'], ['default'], ['all']])(
    'a forged signature: nothing is told of a policy %s, and the store is not asked (SVC-44)',
    async (id) => {
      const { verifier, looked } = await room({ usual: ['late'] })
      const { quote, ...rest } = request({}, { policyIds: [id] })
      const outcome = await verifier.verify({ ...rest, quote: forged(quote) }, never)
      expect(failed(outcome.appraisal)).toContain('tdx.quote.signature')
      expect([outcome.policies, looked]).toEqual([[], []])
      await expect(verifier.verify(request({}, { policyIds: ['default'] }), never)).rejects.toMatchObject({
        code: 'AS.SERVICE.POLICY_MISSING',
      })
    },
  )

  it('is refused by the façade as by every other route (FAC-03)', async () => {
    const { appraisals, requirements, asked } = await room()
    const { quote } = request({ tdAttributes: debugAttributes })
    const appraisal = await facadeAppraiser(appraisals, requirements, clock).appraise(quote, 'any')
    expect(failed(appraisal)).toEqual(['tdx.policy.debug'])
    expect(asked).toEqual([])
  })
})

describe('evidence of a platform whose collateral is at hand', () => {
  const counted = () => {
    const jobs: unknown[] = []
    const appraiseTd: typeof directAppraiser.appraiseTd = (...job) => {
      jobs.push(job)
      return directAppraiser.appraiseTd(...job)
    }
    return { jobs, appraiseTd }
  }
  const known = (spec: RoomSpec = {}) => room({ held: () => sim.collateral(), ...spec })

  it('is appraised once, by the same rules, and nobody is asked for collateral', async () => {
    const { jobs, appraiseTd } = counted()
    const collateral = sim.collateral()
    const { verifier, asked } = await known({ appraiseTd, held: () => collateral })
    const { verifier: other } = await room({ collateral: async () => collateral })
    const given = request()
    expect(await verifier.verify(given, never)).toEqual(await other.verify(given, never))
    expect([asked, jobs.length]).toEqual([[], 1])
  })

  it.each<readonly [string, Partial<QuoteOptions>, Partial<TdVerification>, string]>([
    ['a debuggable TD', { tdAttributes: debugAttributes }, {}, 'tdx.policy.debug'],
    ['other report data', {}, { reportData: new Uint8Array(64) }, 'tdx.reportData'],
  ])('%s is refused as ever', async (_, quote, change, id) => {
    const { verifier, asked } = await known()
    const { appraisal, policies } = await verifier.verify(request(quote, change), never)
    expect([appraisal.affirmed, failed(appraisal), policies, asked]).toEqual([false, [id], [], []])
  })

  it.each([['absent'], ['default'], ['all']])(
    'a forged signature: nothing is told of a policy %s, nor that one is missing (SVC-44)',
    async (id) => {
      const { verifier, looked } = await known({ usual: ['late'] })
      const { quote, ...rest } = request({}, { policyIds: [id] })
      const outcome = await verifier.verify({ ...rest, quote: forged(quote) }, never)
      expect(failed(outcome.appraisal)).toContain('tdx.quote.signature')
      // Not even by the time that it takes to look for it.
      expect([outcome.policies, looked]).toEqual([[], []])
    },
  )

  it('a genuine one is told', async () => {
    const { verifier } = await known({ usual: ['late'] })
    await expect(verifier.verify(request({}, { policyIds: ['absent'] }), never)).rejects.toMatchObject({
      facts: { field: 'policy_ids[0]' },
    })
    await expect(verifier.verify(request({}, { policyIds: ['default'] }), never)).rejects.toMatchObject({
      code: 'AS.SERVICE.POLICY_MISSING',
    })
  })

  it('a policy that denies denies, and a bug in the store is a bug, also beside a forged quote', async () => {
    const { verifier, book } = await known()
    await book.set('id:no', bytes('version= 1.2;authorizationrules{=> deny();};issuancerules{};'), 'tests')
    await expect(verifier.verify(request({}, { policyIds: ['no'] }), never)).rejects.toMatchObject({
      code: 'AS.POLICY.DENIED',
    })
    const { appraisals } = await known()
    const ask = () => Promise.reject(new TypeError('a bug'))
    const { quote } = request()
    const evidence = { quote: forged(quote), ccEventLog: null, simulated: false }
    await expect(appraisals.appraise({ evidence, reportData, ask }, never)).rejects.toThrow(TypeError)
  })

  it('what is refused now and good a moment later gets no token past its policies (POL-711)', async () => {
    const collateral = sim.collateral({ issued: clock.now() + 1_000 })
    const appraiseTd: typeof directAppraiser.appraiseTd = async (...job) => {
      const judged = await directAppraiser.appraiseTd(...job)
      await clock.advance(2_000)
      return judged
    }
    const { verifier, book, looked } = await known({ appraiseTd, held: () => collateral })
    await book.set('id:no', bytes('version= 1.2;authorizationrules{=> deny();};issuancerules{};'), 'tests')
    const { appraisal } = await verifier.verify(request({}, { policyIds: ['no'] }), never)
    expect([appraisal.affirmed, looked]).toEqual([false, []])
    await expect(verifier.verify(request({}, { policyIds: ['no'] }), never)).rejects.toMatchObject({
      code: 'AS.POLICY.DENIED',
    })
  })

  it('is a bug where it is affirmed and no policy was asked (POL-711)', async () => {
    const { appraisals, requirements } = await known()
    const verifier = createTdVerifier({
      appraisals: { appraise: ({ ask: _, ...given }, signal) => appraisals.appraise(given, signal) },
      policies: { select: () => expect.unreachable() },
      ...{ requirements, clock },
    })
    await expect(verifier.verify(request(), never)).rejects.toThrow('its policies were not asked')
  })

  it('of those that come at once eight are judged in one turn of the event loop', async () => {
    const { jobs, appraiseTd } = counted()
    const rounds: (() => void)[] = []
    const nextRound = () => new Promise<void>((resolve) => void rounds.push(resolve))
    const collateral = { heldFor: () => sim.collateral(), collateralOf: async () => sim.collateral() }
    const appraisals = new TdAppraisals({ pool: { appraiseTd }, collateral, requirements: {}, clock, nextRound })
    const evidence = { quote: request().quote, ccEventLog: null, simulated: false }
    const all = Array.from({ length: 12 }, () => appraisals.appraise({ evidence, reportData }, never))
    await expect.poll(() => jobs.length).toBe(8)
    rounds.shift()?.()
    await Promise.all(all)
    expect(jobs).toHaveLength(12)
  })

  it('who has gone away meanwhile is not appraised', async () => {
    const gone = new AbortController()
    const { jobs, appraiseTd } = counted()
    const { appraisals } = await known({ appraiseTd })
    const ask = async () => {
      gone.abort(new Error('gone'))
      return undefined
    }
    const evidence = { quote: request().quote, ccEventLog: null, simulated: false }
    await expect(appraisals.appraise({ evidence, reportData, ask }, gone.signal)).rejects.toThrow('gone')
    expect(jobs).toEqual([])
  })
})

describe('collateral', () => {
  it('that is issued while it is asked for is valid: what is judged with it is judged after that', async () => {
    const slow = async () => {
      await clock.advance(5_000)
      return sim.collateral({ issued: clock.now() })
    }
    const { verifier } = await room({ collateral: slow })
    const outcome = await verifier.verify(request(), never)
    expect(failed(outcome.appraisal)).toEqual([])
    expect(outcome.appraisedAtS).toBe(Math.floor(clock.now() / 1000))
  })
})

describe('without collateral', () => {
  it.each([
    ['collateral_unavailable', 'AS.DEPENDENCY.UNAVAILABLE', true],
    ['collateral_unknown_platform', 'AS.DEPENDENCY.UNAVAILABLE', true],
    ['collateral_answer_invalid', 'AS.DEPENDENCY.BAD_RESPONSE', true],
    ['collateral_rollback', 'AS.DEPENDENCY.BAD_RESPONSE', true],
  ] as const)('%s is %s, and says no address of a source', async (code, told, retryable) => {
    const says = 'https://pccs.internal.example:8081 does not answer'
    const { verifier } = await room({ collateral: () => Promise.reject(endorserErrors.error(code, says)) })
    const refusal: unknown = await verifier.verify(request(), never).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: told, retryable })
    expect(String(refusal)).not.toContain('pccs.internal')
  })

  it('what takes longer than 30 s is told to clients of the façade as AS.SERVICE.OVERLOADED (SVC-42)', async () => {
    const slow = new FakeClock()
    const { appraisals, requirements } = await room({ collateral: () => new Promise(() => undefined) })
    const asked = facadeAppraiser(appraisals, requirements, slow).appraise(request().quote, reportData)
    const refused = expect(asked).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED', retryable: true })
    await slow.advance(30_000)
    await refused
  })

  it('a bug is a bug', async () => {
    const { verifier } = await room({ collateral: () => Promise.reject(new TypeError('a bug')) })
    await expect(verifier.verify(request(), never)).rejects.toThrow(TypeError)
  })

  it('who has gone away is asked for nothing more', async () => {
    const gone = new AbortController()
    const leaving: typeof directAppraiser.appraiseTd = (...job) => {
      gone.abort(new Error('gone'))
      return directAppraiser.appraiseTd(...job)
    }
    const { verifier, asked } = await room({ appraiseTd: leaving })
    await expect(verifier.verify(request(), gone.signal)).rejects.toThrow('gone')
    expect(asked).toEqual([])
  })

  it.each(['APPRAISER_BUSY', 'APPRAISER_STARVED', 'APPRAISAL_TIMEOUT'] as const)(
    'threads that say %s are told as AS.SERVICE.OVERLOADED',
    async (code) => {
      const appraiseTd = () => Promise.reject(appraiserErrors.error(code, 'no'))
      const { verifier } = await room({ appraiseTd })
      await expect(verifier.verify(request(), never)).rejects.toMatchObject({ code: 'AS.SERVICE.OVERLOADED' })
    },
  )
})
