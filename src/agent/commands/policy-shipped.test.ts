import { describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { defaultPolicies, examplePolicies, parsePolicy, policyDigest, policyHash } from '../../policies/index.ts'
import { policyCommand } from './policy.ts'

const shipped = (...args: readonly string[]) => runInProcess(policyCommand, 'shipped', ...args)
const all = [...defaultPolicies, ...examplePolicies]

describe('attestd policy shipped', () => {
  it('lists every policy with what it permits, and which of them decide by default (POL-440)', async () => {
    const { out } = await shipped()
    const lines = out.split('\n')
    for (const { name, permits } of all) {
      const use = defaultPolicies.some((policy) => policy.name === name) ? 'default' : 'to edit'
      expect(lines.map((line) => line.trim().split(/ {2,}/))).toContainEqual([name, use, permits])
    }
  })

  it.each(all.map(({ name }) => name))('prints %s byte for byte, as it loads', async (name) => {
    const { out, error } = await shipped(name)
    expect([error, out]).toEqual([null, all.find((policy) => policy.name === name)?.text])
    expect(parsePolicy(out).policy).toBeDefined()
  })

  it('gives a program the hashes by which tokens name it (POL-710, POL-711)', async () => {
    const [first] = defaultPolicies
    const bytes = new TextEncoder().encode(first?.text)
    expect(JSON.parse((await shipped(first?.name ?? '', '--json')).out)).toEqual({
      ...{ name: first?.name, default: true, permits: first?.permits, text: first?.text },
      ...{ policy_hash: policyHash(bytes), sha256: policyDigest(bytes) },
    })
    const list: { name: string }[] = JSON.parse((await shipped('--json')).out)
    expect(list.map(({ name }) => name)).toEqual(all.map(({ name }) => name))
  })

  it('says what is nearest to a name that there is not', async () => {
    expect((await shipped('attestd-default-tdx-v2')).error).toMatchObject({
      ...{ code: 'USAGE', message: expect.stringContaining('did you mean attestd-default-tdx-v1?') },
    })
    const { error } = await shipped('\u001b[2J')
    expect(error?.message).not.toContain('\u001b')
    expect(error?.message).not.toContain('did you mean')
  })

  it.runIf(haveVectors)('prints the texts whose hashes are published', async () => {
    const expected = vectorJson('policy/defaults/expected.json') as Record<string, { policyHash: string }>
    const list: { name: string; policy_hash: string }[] = JSON.parse((await shipped('--json')).out)
    const hashes = new Map(list.map(({ name, policy_hash }) => [name, policy_hash]))
    expect(Object.keys(expected).length).toBeGreaterThan(0)
    for (const [name, { policyHash: hash }] of Object.entries(expected))
      expect([name, hashes.get(name)]).toEqual([name, hash])
  })
})
