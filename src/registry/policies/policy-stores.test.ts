import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { policyPart, storeKinds } from '../../../test/support/store-kinds.ts'
import { MemoryPolicyStore } from './memory-policy-store.ts'
import {
  type PolicyActivation,
  type PolicyChange,
  type PolicyStore,
  type PolicyVersion,
  policyPage,
  type SignerRecord,
} from './policy-store.ts'

const kinds = storeKinds<PolicyStore>(() => new MemoryPolicyStore(), policyPart)

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const act = { at: 1_700_000_000_000, by: 'root' }

function versionAt(slot: string, number: number, upload = Uint8Array.of(number & 0xff, 0, 0xff)): PolicyVersion {
  const hashes = { uploadSha256: sha256(upload), policyHash: 'p', digest: 'd' }
  const text = { form: 'text', policyTokenHash: null, signerKeySha256: null } as const
  return { slot, number, ...act, ...text, ...hashes, diagnostics: [], previousDigest: null, upload }
}

function activationOf(slot: string, number: number | null, previous: number | null = null): PolicyActivation {
  return { slot, ...act, action: number === null ? 'reset' : 'set', number, previous }
}

const signerAt = (key: string): SignerRecord => ({
  keySha256: key,
  certificate: Uint8Array.of(1, 2),
  added: act,
  removed: null,
})

const [one, two] = ['type:TdxVm', 'id:site-1']

describe.for(kinds)('policies in $name (POL-709)', { timeout: 120_000 }, (kind) => {
  let store: PolicyStore
  beforeAll(async () => kind.possible && (await kind.prepare()), 180_000)
  afterAll(() => kind.end())
  beforeEach(async ({ skip }) => {
    if (!kind.possible) return skip(`${kind.name} is not installed`)
    store = await kind.fresh()
  })

  it('come back byte for byte as they went in', async () => {
    const diagnostic = fc.record({
      ...{ id: fc.string(), severity: fc.constantFrom('warning' as const, 'info' as const), message: fc.string() },
      ...{ line: fc.nat(), column: fc.nat(), length: fc.nat(), found: fc.string({ unit: 'binary' }) },
      ...{ expected: fc.array(fc.string({ unit: 'binary' })), path: fc.string() },
    })
    const facts = fc.record({
      upload: fc.uint8Array({ maxLength: 300 }),
      at: fc.nat(),
      by: fc.string({ unit: 'grapheme-ascii' }),
      diagnostics: fc.array(diagnostic, { maxLength: 3 }),
      previousDigest: fc.option(fc.string({ unit: 'grapheme-ascii' })),
    })
    await fc.assert(
      fc.asyncProperty(facts, async (given) => {
        store = await kind.fresh()
        const version = { ...versionAt(one, 1), ...given, uploadSha256: sha256(given.upload) }
        const change = { expected: 0, version, activation: activationOf(one, 1) }
        expect(await store.commit(change)).toBe(true)
        expect(await store.version(one, 1)).toEqual(version)
        expect(await store.active(one)).toEqual(version)
        const { upload: _, ...without } = version
        expect(await store.versions(one)).toEqual([without])
        expect(await store.situation(one)).toEqual({ revision: 1, signers: [], active: without, versions: 1 })
        expect(await store.activations(one)).toEqual([change.activation])
        expect([await store.version(one, 2), await store.version(two, 1), await store.active(two)]).toEqual(
          Array(3).fill(null),
        )
      }),
      { numRuns: 15 },
    )
  })

  it('take the forms that there are, with what belongs to them', async () => {
    const signed = { form: 'signed', policyTokenHash: 't', signerKeySha256: 'k' } as const
    const unsigned = { form: 'unsigned', policyTokenHash: 't' } as const
    for (const [at, form] of [signed, unsigned].entries()) {
      const version = { ...versionAt(two, at + 1), ...form }
      expect(await store.commit({ expected: at, version })).toBe(true)
      expect(await store.version(two, at + 1)).toEqual(version)
    }
  })

  it('are changed from the revision that was seen, and only from there', async () => {
    expect(await store.commit({ expected: 1, version: versionAt(one, 1) })).toBe(false)
    expect(await store.commit({ expected: 0, version: versionAt(one, 1) })).toBe(true)
    expect(await store.commit({ expected: 0, version: versionAt(two, 1) })).toBe(false)
    expect(await store.commit({ expected: 0, signerAdded: signerAt('a') })).toBe(false)
    expect(await store.slots()).toEqual([one])
    expect(await store.signers()).toEqual([])
    expect(await store.situation(two)).toMatchObject({ revision: 1, versions: 0, active: null })
  })

  it('of many changes at the same time one is made', async () => {
    const done = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        store.commit({
          expected: 0,
          version: versionAt(one, 1, Uint8Array.of(at)),
          activation: activationOf(one, 1),
        }),
      ),
    )
    expect(done.filter(Boolean)).toHaveLength(1)
    expect((await store.active(one))?.upload).toEqual(Uint8Array.of(done.indexOf(true)))
    expect((await store.activations(one)).length).toBe(1)
  })

  it('are listed newest first, in pages', async () => {
    const count = policyPage + 2
    for (let number = 1; number <= count; number++) {
      const activation = activationOf(one, number, number === 1 ? null : number - 1)
      expect(await store.commit({ expected: number - 1, version: versionAt(one, number), activation })).toBe(true)
    }
    const first = await store.versions(one)
    expect(first.map(({ number }) => number)).toEqual(Array.from({ length: policyPage }, (_, at) => count - at))
    expect((await store.versions(one, first.at(-1)?.number)).map(({ number }) => number)).toEqual([2, 1])
    expect((await store.activations(one)).map(({ number }) => number).slice(0, 2)).toEqual([count, count - 1])
    expect(await store.activations(one)).toHaveLength(policyPage)
  })

  it('do what those in memory do, whatever is changed', async () => {
    const slot = fc.constantFrom(one, two)
    const step = fc.oneof(
      fc.record({ is: fc.constant('version' as const), slot, active: fc.boolean() }),
      fc.record({ is: fc.constant('activate' as const), slot, at: fc.nat(3) }),
      fc.record({ is: fc.constant('add' as const), key: fc.constantFrom('a', 'b') }),
      fc.record({ is: fc.constant('remove' as const), key: fc.constantFrom('a', 'b') }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(9)), { maxLength: 14 }), async (steps) => {
        store = await kind.fresh()
        const model = new MemoryPolicyStore()
        for (const [given, digit] of steps) {
          const { revision, signers, active, versions } = await model.situation('slot' in given ? given.slot : one)
          const previous = active?.number ?? null
          const change: PolicyChange = { expected: digit === 0 ? revision + 1 : revision }
          const wanted = ((): Partial<PolicyChange> | null => {
            if (given.is === 'add') {
              const isThere = signers.some(({ keySha256 }) => keySha256 === given.key)
              return isThere ? null : { signerAdded: signerAt(given.key) }
            }
            if (given.is === 'remove') return { signerRemoved: { keySha256: given.key, ...act } }
            if (given.is === 'version') {
              const version = versionAt(given.slot, versions + 1)
              return given.active
                ? { version, activation: activationOf(given.slot, versions + 1, previous) }
                : { version }
            }
            const number = given.at === 0 ? null : given.at
            return number !== null && number > versions
              ? null
              : { activation: activationOf(given.slot, number, previous) }
          })()
          if (wanted === null) continue
          expect(await store.commit({ ...change, ...wanted })).toBe(await model.commit({ ...change, ...wanted }))
        }
        for (const at of [one, two]) {
          expect(await store.situation(at)).toEqual(await model.situation(at))
          expect(await store.active(at)).toEqual(await model.active(at))
          expect(await store.activations(at)).toEqual(await model.activations(at))
        }
        expect(await store.slots()).toEqual(await model.slots())
        expect(await store.signers()).toEqual(await model.signers())
      }),
      { numRuns: 20 },
    )
  })

  it('remember who was trusted, also again', async () => {
    await store.commit({ expected: 0, signerAdded: signerAt('a') })
    await store.commit({ expected: 1, signerRemoved: { keySha256: 'a', at: 5, by: 'eve' } })
    await store.commit({ expected: 2, signerAdded: signerAt('a') })
    expect((await store.signers()).map(({ removed }) => removed)).toEqual([{ at: 5, by: 'eve' }, null])
    expect((await store.situation(one)).signers).toHaveLength(1)
  })

  it('are not what somebody wrote past them', async ({ skip }) => {
    if (kind.engine === undefined) return skip('there is no database')
    const engine = kind.engine()
    await store.commit({ expected: 0, version: versionAt(one, 1), activation: activationOf(one, 1) })
    expect(await store.commit({ expected: 1, activation: activationOf(one, 2) })).toBe(false)
    expect(await store.commit({ expected: 1, version: versionAt(one, 1) })).toBe(false)
    await store.commit({ expected: 1, signerAdded: signerAt('a') })
    expect(await store.commit({ expected: 2, signerAdded: signerAt('a') })).toBe(false)
    expect(await store.situation(one)).toMatchObject({ revision: 2, versions: 1 })
    await engine.query('UPDATE attestd.policy_versions SET upload = $1', [Uint8Array.of(7)])
    await expect(store.active(one)).rejects.toMatchObject({ code: 'registry_corrupt' })
    await expect(store.version(one, 1)).rejects.toMatchObject({ code: 'registry_corrupt' })
    await engine.query("UPDATE attestd.policy_versions SET diagnostics = '{'")
    await expect(store.versions(one)).rejects.toMatchObject({ code: 'registry_corrupt' })
    await engine.query('DELETE FROM attestd.policy_book')
    await expect(store.situation(two)).rejects.toMatchObject({ code: 'registry_corrupt' })
    expect(await store.commit({ expected: 2, signerAdded: signerAt('b') })).toBe(false)
  })
})
