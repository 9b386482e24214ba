import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { maker } from '../../../test/support/enrolling-tpm.ts'
import { canonicalJson } from '../../base/json.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { defaultTpmRequirements, type TpmRequirements } from '../../verifier/index.ts'
import type { AppraisalPolicy, BundledPolicy } from './appraisal-policies.ts'
import { builtinPolicy, reportedPolicies } from './builtin-policy.ts'
import type { GuestTpm, TdRequirements } from './guest.ts'

const tpm = (requirements: TpmRequirements, references: GuestTpm['references'] = null) => ({ requirements, references })
const td = (requirements: TdRequirements) => ({ requirements })
const hashOf = (change: Partial<TpmRequirements> = {}) =>
  builtinPolicy({ tpm: tpm({ ...defaultTpmRequirements, ...change }), td: null }).hash

describe('the requirements as a policy (TOK-26)', () => {
  it('have the name `builtin` and a hash of 64 hexadecimal digits, the same for the same requirements', () => {
    const { id, hash } = builtinPolicy({ tpm: tpm(defaultTpmRequirements), td: null })
    expect(id).toBe('builtin')
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    const reversed = Object.fromEntries(Object.entries(defaultTpmRequirements).reverse())
    expect(hashOf(reversed as Partial<TpmRequirements>)).toBe(hash)
  })

  it('have another hash for every other requirement', () => {
    const changes: Partial<TpmRequirements>[] = [
      {},
      { banks: ['sha256'] },
      { pcrs: [0] },
      { eventLog: 'optional' },
      { ima: 'required' },
      { imaPcr: 11 },
      { firmwareVersions: [1n] },
      { firmwareVersions: [2n] },
      { firmwareVersions: [0x12n] },
      { firmwareVersions: [1n, 2n] },
      { acceptSha1Padded: true },
      { allowUnenrolled: true },
      { withoutMemory: true },
    ]
    expect(new Set(changes.map(hashOf)).size).toBe(changes.length)
  })

  it('have another hash for other reference values, by their id alone (TOK-26)', () => {
    const of = (id: string, pcrs: number) =>
      builtinPolicy({ tpm: tpm(defaultTpmRequirements, { id, pcrs: new Array(pcrs), ima: null }), td: null }).hash
    expect(new Set([hashOf(), of('11', 0), of('22', 0)]).size).toBe(3)
    expect(of('11', 1)).toBe(of('11', 0))
  })

  it('have another hash for every other requirement of a TD', () => {
    const requirements: TdRequirements[] = [
      {},
      { policy: { acceptDebug: true } },
      { policy: { tcbStatuses: ['UpToDate'] } },
      { policy: { tcbStatuses: ['UpToDate', 'OutOfDate'] } },
      { references: { mrTd: [new Uint8Array(48)] } },
      { references: { mrTd: [new Uint8Array(48).fill(1)] } },
      { trustAnchors: [anchorOf(maker.certificate)] },
      { simulator: true },
    ]
    const hashes = requirements.map((given) => builtinPolicy({ tpm: null, td: td(given) }).hash)
    expect(new Set([...hashes, hashOf()]).size).toBe(requirements.length + 1)
  })
})

describe('the hash of the requirements (TOK-26)', () => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

  it('is that of their canonical JSON, with bytes and numbers above 2^53 in hexadecimal: relying parties pin it', () => {
    const requirements: TdRequirements = { references: { mrTd: [Uint8Array.of(1, 255)] }, simulator: true }
    const text = '{"tdx":{"anchors":[],"references":{"mrTd":["01ff"]},"simulator":true}}'
    expect(builtinPolicy({ tpm: null, td: td(requirements) }).hash).toBe(sha256(text))
    const firmware = canonicalJson({
      tpm: JSON.parse(JSON.stringify({ ...defaultTpmRequirements, firmwareVersions: ['12'] })),
    })
    expect(hashOf({ firmwareVersions: [0x12n] })).toBe(sha256(firmware))
  })
})

describe('the policies of a request beside the requirements (TOK-26)', () => {
  const guest = { tpm: tpm(defaultTpmRequirements), td: null }
  const text: AppraisalPolicy = { id: 'text', hash: 'a'.repeat(64), text: '', documents: false }
  const bundle = (id: string, settings: BundledPolicy['settings']): BundledPolicy => ({
    ...{ id, hash: 'b'.repeat(64), settings },
    bundle: { evaluateInputs: () => expect.unreachable(), required: [] },
  })
  const of = (...policies: readonly AppraisalPolicy[]) => builtinPolicy(guest, policies).hash

  it('leave the hash as it is where their own hashes say all', () => {
    expect(of(text)).toBe(of())
    expect(of()).toBe(hashOf())
  })

  it('change the hash with each bundle, and with each value that it is given', () => {
    const hashes = [
      of(),
      of(bundle('one', {})),
      of(bundle('other', {})),
      of(bundle('one', { require: ['hardware'] })),
      of(bundle('one', { require: ['configuration'] })),
      of(bundle('one', {}), bundle('other', { require: ['hardware'] })),
      of(bundle('one', { require: ['hardware'] }), bundle('other', {})),
    ]
    expect(new Set(hashes).size).toBe(hashes.length)
    expect(of(text, bundle('one', {}))).toBe(hashes[1])
  })

  it('count where the request asks them, and are named after the requirements, in order', () => {
    const [one, other] = [bundle('one', { require: ['hardware'] }), bundle('other', {})]
    const policies = { configured: [text, one, other], usual: [text] }
    const named = (policyIds: readonly string[]) => reportedPolicies(guest, policies, { policyIds })
    expect(named([])).toEqual([
      { id: 'builtin', hash: of() },
      { id: 'text', hash: text.hash },
    ])
    expect(named(['other', 'one'])).toEqual([
      { id: 'builtin', hash: of(one, other) },
      { id: 'other', hash: other.hash },
      { id: 'one', hash: one.hash },
    ])
  })
})

describe('anchors of a TD (TOK-26)', () => {
  it('count by their fingerprints', () => {
    const anchor = anchorOf(maker.certificate)
    const of = (...fingerprints: readonly string[]) =>
      builtinPolicy({ tpm: null, td: td({ trustAnchors: [{ ...anchor, fingerprints }] }) }).hash
    expect(new Set([of(), of('11'), of('22'), of('11', '22')]).size).toBe(4)
  })
})
