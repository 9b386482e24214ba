import { describe, expect, it, vi } from 'vitest'
import { regoVerdict } from '../../policies/rego/rego-evaluation.ts'
import type { AppraisalPolicy, BundledPolicy } from './appraisal-policies.ts'
import { questionOf, withBundles } from './asked-policies.ts'

const facts = { simulator: true, freshness: 'nonce' } as const
const text: AppraisalPolicy = { id: 'text', hash: 'a', text: '', documents: false }
const evaluateInputs = vi.fn(async () => regoVerdict('permit', { trust: [], extensions: [], token: {} }))
const bundle: BundledPolicy = { id: 'b', hash: 'b', settings: {}, bundle: { evaluateInputs, required: [] } }

describe('what the thread of appraisals is asked', () => {
  it('is the texts, and the input of bundles where there is one', () => {
    expect(questionOf([text], facts)).toEqual({ policies: [text], bundles: false, ...facts })
    expect(questionOf([bundle, text], facts)).toEqual({ policies: [text], bundles: true, ...facts })
    expect(questionOf([], facts)).toBe(undefined)
  })
})

describe('bundles', () => {
  it('answer behind the texts, at the time of the appraisal, and their input goes no further', async () => {
    const policies = [
      { id: 'text', evaluation: { verdict: 'deny', reason: 'no-permit' }, lines: [], missed: [] },
    ] as const
    const document = Uint8Array.of(1)
    const judged = await withBundles({ policies, bundleInput: { document } }, [bundle], 77)
    expect(judged.policies.map(({ id }) => id)).toEqual(['text', 'b'])
    expect(judged).not.toHaveProperty('bundleInput')
    expect(evaluateInputs.mock.calls).toEqual([[[document], 77]])
  })
})
