import { describe, expect, it } from 'vitest'
import { maker } from '../../../test/support/enrolling-tpm.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { defaultTpmRequirements, type TpmRequirements } from '../../verifier/index.ts'
import { builtinPolicy } from './builtin-policy.ts'
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
