import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { forgeJws, makePolicySigner, type TestPolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { AttestdError } from '../../base/errors.ts'
import { encodeUnsignedPolicy, policyDigest, policyHash, policyTokenHash, signPolicy } from '../../policies/index.ts'
import { MemoryPolicyStore } from './memory-policy-store.ts'
import { mostVersions, PolicyBook, type PolicyBookOptions } from './policy-book.ts'
import type { PolicyEvent } from './policy-outcome.ts'
import type { PolicyChange, PolicyStore } from './policy-store.ts'
import { mostSigners, SignerBook } from './signer-book.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))
const textNumbered = (number: number) =>
  `version=1.0;\nauthorizationrules { => permit(); };\nissuancerules { => issue(type="n", value=${number}); };\n`
const policyNumbered = (number: number) => bytes(textNumbered(number))
const [even, odd] = [policyNumbered(0), policyNumbered(1)]
const broken = bytes('version=1.0\nauthorizationrules { => permit(); };')
const slot = 'type:TdxVm'
const reset = 'eyJhbGciOiJub25lIn0..'
const [ec, rsa, stranger] = [makePolicySigner('P-256'), makePolicySigner('rsa'), makePolicySigner('P-256')]
const derOf = ({ authority }: TestPolicySigner) => authority.certificate.der
const signedReset = (by: TestPolicySigner) => forgeJws({ alg: 'ES256', x5c: x5cOf(by) }, '', by)
const change = (subject: TestPolicySigner, by: TestPolicySigner) => {
  const alg = by === rsa ? 'RS256' : 'ES256'
  return forgeJws({ alg, x5c: x5cOf(by) }, { policyCertificate: { kty: 'EC', x5c: x5cOf(subject) } }, by)
}

let store: PolicyStore
let events: PolicyEvent[]
let clock: FakeClock
let pauses: number[]

function open(options: Partial<PolicyBookOptions> = {}) {
  const given = {
    store,
    clock: { now: () => clock.now(), sleep: async (ms: number) => void pauses.push(ms) },
    random: randomBytes,
    signsTokens: () => false,
    report: (event: PolicyEvent) => events.push(event),
    ...options,
  }
  return { policies: new PolicyBook(given), signers: new SignerBook(given) }
}

beforeEach(() => {
  store = new MemoryPolicyStore()
  events = []
  pauses = []
  clock = new FakeClock(1_700_000_000_000)
})

async function codeOf(act: Promise<unknown>): Promise<string> {
  return act.then(
    () => 'done',
    (error: unknown) => {
      if (!(error instanceof AttestdError)) throw error
      return String(error.facts['rule'] ?? error.code)
    },
  )
}

describe('an uploaded policy (POL-709)', () => {
  it('is the last one where as many versions are kept as may be', { timeout: 60_000 }, async () => {
    const { policies } = open()
    for (let count = 0; count < mostVersions; count++) {
      await policies.set(slot, count % 2 === 0 ? even : odd, 'ann')
    }
    expect(await codeOf(policies.set(slot, even, 'ann'))).toBe('policy_versions_full')
    expect(await codeOf(policies.set('type:Tpm', even, 'ann'))).toBe('done')
  })

  it('is kept unchanged with time, uploader, hashes, what the lint said and the hash of what was before', async () => {
    const { policies } = open()
    const [first, second] = [policyNumbered(1), bytes(encodeUnsignedPolicy(policyNumbered(2)))]
    expect(await policies.set(slot, first, 'ann')).toMatchObject({ loaded: true, changed: true, signer: null })
    await clock.advance(5)
    await policies.set(slot, second, 'bob')
    const shown = await policies.show(slot, 2)
    expect(shown.upload).toEqual(second)
    expect(shown.policy).toEqual(policyNumbered(2))
    expect(shown.version).toMatchObject({
      ...{ number: 2, at: clock.now(), by: 'bob', form: 'unsigned' },
      diagnostics: [{ id: 'L13', severity: 'warning', line: 2 }],
      policyHash: policyHash(policyNumbered(2)),
      policyTokenHash: policyTokenHash(Buffer.from(second).toString()),
      digest: policyDigest(policyNumbered(2)),
      previousDigest: policyDigest(policyNumbered(1)),
    })
    expect(await policies.active(slot)).toEqual(shown)
    expect((await policies.show(slot, 1)).version).toMatchObject({
      by: 'ann',
      policyTokenHash: null,
      previousDigest: null,
    })
    expect((await policies.versions(slot)).map(({ number }) => number)).toEqual([2, 1])
    expect((await policies.versions(slot, 2)).map(({ number }) => number)).toEqual([1])
    expect(await policies.slots()).toEqual([slot])
  })

  it('that does not load never replaces one that does', async () => {
    const { policies } = open()
    expect(await policies.set(slot, broken, 'ann')).toMatchObject({ loaded: false, diagnostics: [{ line: 2 }] })
    expect(await policies.active(slot)).toBeNull()
    await policies.set(slot, policyNumbered(1), 'ann')
    for (const upload of [broken, bytes(encodeUnsignedPolicy(broken)), bytes(signPolicy(broken, ec)), bytes('')]) {
      expect(await policies.set(slot, upload, 'ann')).toMatchObject({ loaded: false })
    }
    expect((await policies.active(slot))?.policy).toEqual(policyNumbered(1))
    expect(await policies.versions(slot)).toHaveLength(1)
    expect(events).toHaveLength(1)
  })

  it.skipIf(!haveVectors)('of the vectors does not load where it says (POL-202)', async () => {
    const outcome = await open().policies.set(slot, vector('policy/jws/neg-syntax-error.jws'), 'ann')
    expect(outcome).toMatchObject({ loaded: false, diagnostics: [{ id: 'POL-202', line: 2, column: 1 }] })
    expect(await open().policies.set(slot, vector('policy/jws/signed-rs256.jws'), 'ann')).toMatchObject({
      loaded: true,
    })
  })

  it('with the bytes that are active already changes nothing', async () => {
    const { policies } = open()
    await policies.set(slot, policyNumbered(1), 'ann')
    expect(await policies.set(slot, policyNumbered(1), 'bob')).toMatchObject({ changed: false, version: { by: 'ann' } })
    expect(await policies.set(slot, bytes(encodeUnsignedPolicy(policyNumbered(1))), 'bob')).toMatchObject({
      changed: true,
    })
    expect(await policies.versions(slot)).toHaveLength(2)
    expect(events).toHaveLength(2)
  })

  it('is kept for its slot alone, whose name is one of POL-442', async () => {
    const { policies } = open()
    await policies.set('id:a', policyNumbered(1), 'ann')
    expect(await policies.active('id:A')).toBeNull()
    expect(await policies.active('type:a')).toBeNull()
    const longest = `id:${'a'.repeat(128)}`
    expect(await codeOf(policies.set(longest, policyNumbered(1), 'ann'))).toBe('done')
    for (const name of [`${longest}a`, 'id:', 'id:a/b', 'id:a b', 'id:ä', 'a', 'id:a\n', 'kind:a']) {
      expect(await codeOf(policies.set(name, policyNumbered(1), 'ann'))).toBe('policy_slot')
      expect(await codeOf(policies.restore(name, 1, 'ann'))).toBe('policy_slot')
      expect(await codeOf(policies.reset(name, reset, 'ann'))).toBe('policy_slot')
    }
  })

  it('has its first diagnostics with it, cut to size', async () => {
    const warning = {
      id: 'L01',
      severity: 'warning',
      message: 'm'.repeat(9000),
      line: 1,
      column: 1,
      length: 0,
    } as const
    const more = {
      found: 'f'.repeat(9000),
      expected: Array(99).fill('e'.repeat(999)),
      path: 'lexer',
      hint: 'h'.repeat(999),
    }
    const judge = () => ({ loads: true, diagnostics: Array(500).fill({ ...warning, ...more }) })
    await open({ judge }).policies.set(slot, policyNumbered(1), 'ann')
    const [version] = await store.versions(slot)
    expect(version?.diagnostics).toHaveLength(64)
    expect(JSON.stringify(version?.diagnostics).length).toBeLessThan(1_000_000)
    expect(version?.diagnostics[0]).toMatchObject({ id: 'L01', message: 'm'.repeat(512) })
  })

  it('is not what its caller makes of the bytes later', async () => {
    const { policies } = open()
    const upload = policyNumbered(1)
    await policies.set(slot, upload, 'ann')
    upload.fill(0)
    expect((await policies.active(slot))?.upload).toEqual(policyNumbered(1))
  })
})

describe('former versions (POL-709)', () => {
  it('are shown, compared and restored', async () => {
    const { policies } = open()
    for (const number of [1, 2, 3]) await policies.set(slot, policyNumbered(number), 'ann')
    const { from, to, lines } = await policies.compare(slot, 1, 3)
    expect([from.number, to.number]).toEqual([1, 3])
    expect(lines.filter(({ is }) => is !== 'same')).toMatchObject([
      { is: 'removed', line: expect.stringContaining('value=1') },
      { is: 'added', line: expect.stringContaining('value=3') },
    ])
    expect(await policies.restore(slot, 1, 'bob')).toMatchObject({
      loaded: true,
      changed: true,
      version: { number: 1 },
    })
    expect((await policies.active(slot))?.policy).toEqual(policyNumbered(1))
    expect(await policies.restore(slot, 1, 'bob')).toMatchObject({ changed: false })
    expect(await policies.activations(slot)).toMatchObject([
      { action: 'restored', by: 'bob', number: 1, previous: 3 },
      { action: 'set', number: 3, previous: 2 },
      { action: 'set', number: 2, previous: 1 },
      { action: 'set', number: 1, previous: null },
    ])
  })

  it('that are not there are not made up', async () => {
    const { policies } = open()
    await policies.set(slot, policyNumbered(1), 'ann')
    for (const number of [0, 2, -1, 1.5, Number.NaN, 2 ** 60]) {
      expect(await codeOf(policies.show(slot, number))).toBe('policy_version_unknown')
      expect(await codeOf(policies.restore(slot, number, 'ann'))).toBe('policy_version_unknown')
      expect(await codeOf(policies.compare(slot, 1, number))).toBe('policy_version_unknown')
    }
  })

  it('are restored only if they load today, and are signed as it is asked for today', async () => {
    const { policies, signers } = open()
    await policies.set(slot, policyNumbered(1), 'ann')
    await policies.set(slot, bytes(signPolicy(policyNumbered(2), stranger)), 'ann')
    await policies.set(slot, bytes(signPolicy(policyNumbered(3), ec)), 'ann')
    const strict = open({ judge: () => ({ loads: false, diagnostics: [] }) })
    expect(await strict.policies.restore(slot, 1, 'bob')).toMatchObject({ loaded: false })
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(policies.restore(slot, 1, 'bob'))).toBe('POL-704')
    expect(await codeOf(policies.restore(slot, 2, 'bob'))).toBe('POL-705')
    expect((await policies.active(slot))?.version.number).toBe(3)
    expect(await policies.restore(slot, 3, 'bob')).toMatchObject({ changed: false })
  })
})

describe('a reset (POL-904)', () => {
  it('returns to the shipped default, in signer mode by a signature', async () => {
    const { policies, signers } = open()
    expect(await policies.reset(slot, reset, 'ann')).toBe(false)
    await policies.set(slot, policyNumbered(1), 'ann')
    expect(await policies.reset(slot, reset, 'ann')).toBe(true)
    expect(await policies.active(slot)).toBeNull()
    await policies.set(slot, policyNumbered(1), 'ann')
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(policies.reset(slot, reset, 'ann'))).toBe('POL-704')
    expect(await codeOf(policies.reset(slot, signedReset(stranger), 'ann'))).toBe('POL-705')
    expect(await policies.active(slot)).not.toBeNull()
    expect(await policies.reset(slot, signedReset(ec), 'ann')).toBe(true)
    expect((await policies.activations(slot))[0]).toMatchObject({ action: 'reset', number: null, previous: 2 })
  })
})

describe('signers (POL-704, POL-708)', () => {
  it('switch signer mode on and off, and each change is on record', async () => {
    const { policies, signers } = open()
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(policies.set(slot, policyNumbered(1), 'ann'))).toBe('POL-704')
    expect(await codeOf(policies.set(slot, bytes(signPolicy(policyNumbered(1), stranger)), 'ann'))).toBe('POL-705')
    expect(await policies.set(slot, bytes(signPolicy(policyNumbered(1), ec)), 'ann')).toMatchObject({ loaded: true })
    await signers.removeLocally(derOf(ec), 'root')
    expect(await policies.set(slot, policyNumbered(2), 'ann')).toMatchObject({ loaded: true })
    expect(await signers.trusted()).toEqual([])
    expect(await signers.history()).toMatchObject([{ added: { by: 'root' }, removed: { by: 'root' } }])
    expect(events.map(({ event }) => event)).toEqual([
      ...['policy.signer.added', 'policy.set', 'policy.signer.removed', 'policy.set'],
    ])
  })

  it('are added by those who are trusted, again without effect', async () => {
    const { signers } = open()
    expect(await codeOf(signers.changeSigned('add', change(stranger, ec), 'ann'))).toBe('POL-704')
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(signers.changeSigned('add', change(stranger, stranger), 'ann'))).toBe('POL-705')
    expect(await signers.changeSigned('add', change(stranger, ec), 'ann')).toMatchObject({ changed: true })
    expect(await signers.changeSigned('add', change(stranger, stranger), 'ann')).toMatchObject({ changed: false })
    expect((await signers.trusted()).map(({ fingerprint }) => fingerprint)).toEqual(
      [ec, stranger].map(({ authority }) => authority.certificate.fingerprint),
    )
  })

  it('are removed likewise, the last one by the local administrator alone', async () => {
    const { signers } = open()
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(signers.changeSigned('remove', change(ec, ec), 'ann'))).toBe('policy_signer_last')
    expect(await signers.changeSigned('remove', change(stranger, ec), 'ann')).toMatchObject({ changed: false })
    await signers.addLocally(derOf(stranger), 'root')
    expect(await signers.changeSigned('remove', change(ec, ec), 'ann')).toMatchObject({ changed: true })
    expect(await codeOf(signers.changeSigned('add', change(ec, ec), 'ann'))).toBe('POL-705')
    expect(await codeOf(signers.changeSigned('remove', change(stranger, stranger), 'ann'))).toBe('policy_signer_last')
    expect(await signers.removeLocally(derOf(stranger), 'root')).toMatchObject({ changed: true })
    expect(await signers.removeLocally(derOf(stranger), 'root')).toMatchObject({ changed: false })
  })

  it('are as many as may be, and no more', async () => {
    const { signers } = open()
    await signers.addLocally(derOf(ec), 'root')
    for (let count = 1; count < mostSigners; count++) await signers.addLocally(derOf(makePolicySigner()), 'root')
    expect(await codeOf(signers.addLocally(derOf(stranger), 'root'))).toBe('policy_signers_full')
    expect(await codeOf(signers.changeSigned('add', change(stranger, ec), 'ann'))).toBe('policy_signers_full')
    expect(await signers.addLocally(derOf(ec), 'root')).toMatchObject({ changed: false })
  })

  it('never have a key that signs tokens, nor one that cannot sign policies (POL-712)', async () => {
    const { policies, signers } = open({ signsTokens: (key) => Buffer.compare(key, stranger.publicKey) === 0 })
    expect(await codeOf(policies.set(slot, bytes(signPolicy(policyNumbered(1), stranger)), 'ann'))).toBe(
      'policy_signer_key',
    )
    expect(await codeOf(policies.reset(slot, signedReset(stranger), 'ann'))).toBe('policy_signer_key')
    expect(await codeOf(signers.addLocally(derOf(stranger), 'root'))).toBe('policy_signer_key')
    await signers.addLocally(derOf(ec), 'root')
    expect(await codeOf(signers.changeSigned('add', change(stranger, ec), 'ann'))).toBe('policy_signer_key')
    expect(await codeOf(signers.addLocally(derOf(makePolicySigner('P-384')), 'root'))).toBe('policy_signer_key')
    expect(await codeOf(signers.addLocally(Uint8Array.of(1), 'root'))).toBe('MALFORMED')
  })

  it('out of the store are those that were added', async () => {
    const { policies, signers } = open()
    const added = { at: 1, by: 'x' }
    await store.commit({
      expected: 0,
      signerAdded: { keySha256: 'ab', certificate: derOf(ec), added, removed: null },
    })
    expect(await codeOf(policies.set(slot, policyNumbered(1), 'ann'))).toBe('registry_corrupt')
    expect(await codeOf(signers.trusted())).toBe('registry_corrupt')
  })
})

/** A store in which somebody else is always a little faster, as often as it is told. */
function contested(inner: PolicyStore, between: (() => Promise<unknown>)[]): PolicyStore {
  const commit = async (given: PolicyChange) => {
    await between.shift()?.()
    return inner.commit(given)
  }
  return new Proxy(inner, {
    get: (target, name) => (name === 'commit' ? commit : Reflect.get(target, name).bind(target)),
  })
}

describe('writers at the same time', () => {
  it('an unsigned policy does not slip in while signer mode is switched on', async () => {
    const { signers } = open()
    const { policies } = open({ store: contested(store, [() => signers.addLocally(derOf(ec), 'root')]) })
    expect(await codeOf(policies.set(slot, policyNumbered(1), 'ann'))).toBe('POL-704')
    expect(await policies.active(slot)).toBeNull()
  })

  it('nor does one whose signer is removed meanwhile', async () => {
    const { signers } = open()
    await signers.addLocally(derOf(ec), 'root')
    await signers.addLocally(derOf(stranger), 'root')
    const { policies } = open({ store: contested(store, [() => signers.removeLocally(derOf(ec), 'root')]) })
    expect(await codeOf(policies.set(slot, bytes(signPolicy(policyNumbered(1), ec)), 'ann'))).toBe('POL-705')
  })

  it('two signers who remove each other leave one', async () => {
    const { signers } = open()
    await signers.addLocally(derOf(ec), 'root')
    await signers.addLocally(derOf(stranger), 'root')
    const between = [() => signers.changeSigned('remove', change(stranger, ec), 'ann')]
    const slower = open({ store: contested(store, between) }).signers
    expect(await codeOf(slower.changeSigned('remove', change(ec, stranger), 'bob'))).toBe('POL-705')
    expect(await signers.trusted()).toHaveLength(1)
  })

  it('what is written names what was active just before', async () => {
    const { policies } = open()
    const slower = open({ store: contested(store, [() => policies.set(slot, policyNumbered(1), 'ann')]) }).policies
    await slower.set(slot, policyNumbered(2), 'bob')
    expect((await policies.active(slot))?.version).toMatchObject({
      number: 2,
      previousDigest: policyDigest(policyNumbered(1)),
    })
  })

  it('who is overtaken for ever gives up', async () => {
    const { policies } = open()
    let number = 0
    const between = Array(20).fill(() => policies.set(slot, policyNumbered(++number), 'ann'))
    const slower = open({ store: contested(store, between) }).policies
    expect(await codeOf(slower.set(slot, policyNumbered(99), 'bob'))).toBe('policy_conflict')
    expect(pauses).toEqual([8, 16, 32, 64, 128, 256, 512].map((longest) => expect.toSatisfy((ms) => ms < longest)))
    expect(new Set(pauses).size).toBe(7)
    expect(events.filter(({ by }) => by === 'bob')).toEqual([])
  })

  it('every change has one event with the digests before and after (POL-903)', async () => {
    const { policies } = open()
    const uploads = Array.from({ length: 5 }, (_, at) => policyNumbered(at))
    const outcomes = await Promise.all(uploads.map((upload) => policies.set(slot, upload, 'ann')))
    expect(outcomes.every(({ loaded }) => loaded)).toBe(true)
    await policies.restore(slot, 1, 'ann')
    await policies.reset(slot, reset, 'ann')
    const changes = events.map((event) => ('slot' in event ? event : expect.unreachable()))
    expect(changes.map(({ before }) => before)).toEqual([null, ...changes.slice(0, -1).map(({ after }) => after)])
    expect(changes.at(-1)).toMatchObject({ event: 'policy.reset', after: null })
    expect(changes).toHaveLength(7)
  })
})

describe('whoever changes something', () => {
  it('has a name that can be shown', async () => {
    const { policies } = open()
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 140 }), async (name) => {
        const isGood = /^[\x20-\x7e]{1,128}$/.test(name)
        const set = policies.set(slot, policyNumbered(1), name)
        if (isGood) await set
        else await expect(set).rejects.toThrow(TypeError)
      }),
      { numRuns: 40 },
    )
  })
})
