import { describe, expect, it } from 'vitest'
import { regoVerdict } from '../../policies/rego/rego-evaluation.ts'
import type { AppraisalPolicy, BundledPolicy } from './appraisal-policies.ts'
import { questionOf } from './asked-policies.ts'

const facts = { simulator: true, freshness: 'nonce' } as const
const text: AppraisalPolicy = { id: 'text', hash: 'a', text: '', documents: false }
const evaluateInputs = async () => regoVerdict('permit', { trust: [], extensions: [], token: {} })
const bundle: BundledPolicy = { id: 'b', hash: 'b', settings: {}, bundle: { evaluateInputs, required: [] } }

describe('what the thread of appraisals is asked', () => {
  it('is the texts, and the input of bundles where there is one', () => {
    expect(questionOf([text], facts)).toEqual({ policies: [text], bundles: false, ...facts })
    expect(questionOf([bundle, text], facts)).toEqual({ policies: [text], bundles: true, ...facts })
    expect(questionOf([], facts)).toBe(undefined)
  })
})
