import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { proveActivation } from '../../src/evidence/tpm/enrolment.ts'
import type { RegistryStore } from '../../src/registry/registry-store.ts'
import { TpmRegistry } from '../../src/registry/tpm-registry.ts'
import type { EnrolmentCandidate } from '../../src/verifier/tpm/enrolment.ts'
import { candidateFor, type EnrollingTpm, makeEnrollingTpm } from './enrolling-tpm.ts'
import { FakeClock } from './fake-clock.ts'
import { openCredential } from './open-credential.ts'
import { makeSoftwareAk } from './software-tpm.ts'
import { testNow } from './test-ca.ts'

/** What the registry should be, said in the simplest way: one small object for each key. */
class Model {
  states = new Map<number, 'active' | 'suspended' | 'revoked' | 'superseded' | 'released'>()
  clocks = new Map<number, bigint | null>()

  keysOf(ekIndex: number): number[] {
    return [...this.states.keys()].filter((key) => key >> 1 === ekIndex)
  }

  enrol(key: number): string {
    const ekIndex = key >> 1
    const holders = [...this.states].filter(([other, state]) => other >> 1 !== ekIndex && state !== 'released')
    if (holders.length > 0) return 'identity_conflict'
    const own = this.states.get(key)
    if (own === 'revoked' || own === 'superseded' || own === 'released') return 'enrolment_state'
    const stopped = this.keysOf(ekIndex).some((other) =>
      ['suspended', 'revoked'].includes(this.states.get(other) ?? ''),
    )
    if (stopped) return 'enrolment_state'
    for (const other of this.keysOf(ekIndex)) {
      if (other !== key && this.states.get(other) === 'active') this.states.set(other, 'superseded')
    }
    this.states.set(key, 'active')
    if (own === undefined) this.clocks.set(key, null)
    return 'done'
  }

  move(key: number, to: 'active' | 'suspended' | 'revoked'): string {
    const state = this.states.get(key)
    if (state === undefined) return 'ak_unknown'
    if (state !== 'active' && state !== 'suspended') return 'enrolment_state'
    this.states.set(key, to)
    return 'done'
  }

  release(ekIndex: number): string {
    for (const key of this.keysOf(ekIndex)) this.states.set(key, 'released')
    return 'done'
  }

  progress(key: number, before: bigint | null, after: bigint): string {
    const state = this.states.get(key)
    if (state === undefined) return 'ak_unknown'
    if (state !== 'active') return 'enrolment_state'
    if (this.clocks.get(key) !== before) return 'rollback'
    this.clocks.set(key, after)
    return 'done'
  }
}

interface Party {
  readonly tpm: EnrollingTpm
  readonly of: EnrolmentCandidate
}

/** Four keys: two AKs under each of two EKs that claim one identity. */
function makeParties(): readonly Party[] {
  const [first, second] = [makeEnrollingTpm(), makeEnrollingTpm({}, { subject: { O: 'Example', CN: 'i-1' } })]
  const again = ({ ek }: EnrollingTpm) => makeEnrollingTpm({ ek, ak: makeSoftwareAk() })
  return [first, again(first), second, again(second)].map((tpm) => ({ tpm, of: candidateFor(tpm) }))
}

interface Command {
  readonly name: string
  readonly model: (model: Model) => string
  readonly real: (registry: TpmRegistry) => Promise<unknown>
}

async function enrol(registry: TpmRegistry, { tpm, of }: Party): Promise<void> {
  const challenge = registry.openChallenge(of, 'peer')
  const secret = openCredential(tpm.ek.area, tpm.ek.privateKey, of.akName, challenge)
  await registry.acceptAnswer({ id: challenge.id, answer: proveActivation(secret, challenge.id, of.akName) }, 'peer')
}

async function codeOf(act: () => Promise<unknown>): Promise<string> {
  try {
    await act()
    return 'done'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return error.code
  }
}

const countersAt = (clock: number) => ({ resetCount: 1, restartCount: 0, clock: BigInt(clock), safe: true })

function anyCommand(party: (key: number) => Party): fc.Arbitrary<Command> {
  const key = fc.nat(3)
  const akOf = (k: number) => party(k).of.akName
  const moves = { suspend: 'suspended', resume: 'active', revoke: 'revoked' } as const
  return fc.oneof(
    key.map((k) => ({
      name: `enrol ${k}`,
      model: (m: Model) => m.enrol(k),
      real: (r: TpmRegistry) => enrol(r, party(k)),
    })),
    fc.tuple(key, fc.constantFrom('suspend', 'resume', 'revoke')).map(([k, act]) => ({
      name: `${act} ${k}`,
      model: (m: Model) => m.move(k, moves[act]),
      real: (r: TpmRegistry) => r[act](akOf(k)),
    })),
    fc.nat(1).map((e) => ({
      name: `release ${e}`,
      model: (m: Model) => m.release(e),
      real: (r: TpmRegistry) => r.release(party(2 * e).of.ekName),
    })),
    fc.tuple(key, fc.option(fc.nat(2)), fc.nat(2)).map(([k, before, after]) => ({
      name: `progress ${k} ${before} ${after}`,
      model: (m: Model) => m.progress(k, before === null ? null : BigInt(before), BigInt(after)),
      real: (r: TpmRegistry) =>
        r.keepProgress(akOf(k), before === null ? null : countersAt(before), {
          counters: countersAt(after),
          checkpoint: null,
        }),
    })),
  )
}

/** Any sequence of changes does in a registry on `open`'s store, empty each time, what it does in the model. */
export async function requireModelled(open: () => Promise<RegistryStore>, numRuns: number): Promise<void> {
  const parties = makeParties()
  const party = (key: number) => parties[key] ?? expect.unreachable()
  const random = (size: number) => new Uint8Array(randomBytes(size))
  await fc.assert(
    fc.asyncProperty(fc.array(anyCommand(party), { maxLength: 16 }), async (commands) => {
      const registry = new TpmRegistry({ store: await open(), clock: new FakeClock(testNow), random })
      const model = new Model()
      for (const { name, model: expected, real } of commands) {
        expect([name, await codeOf(() => real(registry))]).toEqual([name, expected(model)])
      }
      for (const [index, { of }] of parties.entries()) {
        const record = await registry.describe(of.akName)
        expect(record?.counters?.clock ?? null).toBe(model.clocks.get(index) ?? null)
      }
    }),
    { numRuns },
  )
}
