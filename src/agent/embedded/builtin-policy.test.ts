import { describe, expect, it } from 'vitest'
import { defaultTpmRequirements, type TpmRequirements } from '../../verifier/index.ts'
import { builtinPolicy } from './builtin-policy.ts'

const hashOf = (change: Partial<TpmRequirements> = {}) => builtinPolicy({ ...defaultTpmRequirements, ...change }).hash

describe('the requirements as a policy (TOK-26)', () => {
  it('have the name `builtin` and a hash of 64 hexadecimal digits, the same for the same requirements', () => {
    const { id, hash } = builtinPolicy(defaultTpmRequirements)
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
})
