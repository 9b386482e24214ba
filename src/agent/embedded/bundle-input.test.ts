import { describe, expect, it } from 'vitest'
import { bundleInputOf } from './bundle-input.ts'

const trees = {
  attestation: { type: 'tdx', time: 1, simulated: false, freshness: 'nonce' },
  evidence: { kinds: ['tdx' as const] },
} as const

function inputOf(statements?: Parameters<typeof bundleInputOf>[1]): unknown {
  const input = bundleInputOf(trees, statements)
  return 'document' in input ? JSON.parse(Buffer.from(input.document).toString()) : input
}

describe('the input of a bundle', () => {
  const runtimeData = new TextEncoder().encode('{"a":1}')

  it('has what the sender said under names of its own (POL-962)', () => {
    const statements = { runtimeData, runtimeDataClaims: { a: 1 }, initDataClaims: { data: { k: 'v' } } }
    expect(inputOf(statements)).toMatchObject({
      ...trees,
      runtime_data_claims: { a: 1 },
      init_data_claims: { data: { k: 'v' } },
    })
  })

  it('has no such names where nothing was said, or nothing that is an object', () => {
    const raw = { runtimeData, runtimeDataClaims: null, initDataClaims: null }
    for (const statements of [undefined, raw]) {
      const input = inputOf(statements)
      expect(input).toMatchObject(trees)
      expect(input).not.toHaveProperty('runtime_data_claims')
      expect(input).not.toHaveProperty('init_data_claims')
    }
  })
})
