import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../test/support/vectors.ts'
import { type TokenCheckId, tokenChecks } from './checks.ts'
import type { TokenExpectations, TokenTrust } from './token-trust.ts'
import { createTokenVerifier } from './token-verifier.ts'

const recorded = haveVectors ? vectorJson('token/rp-cases.json') : { cases: [], counts: {}, defaults: {}, jwks: {} }

type Settings = ReturnType<typeof vectorJson>

function trustOf(settings: Settings): TokenTrust {
  const now = settings.now * 1000
  return {
    issuer: settings.issuer,
    audience: settings.audience,
    keys: { jwks: recorded.jwks },
    profile: settings.profile,
    algorithms: settings.algorithms,
    tee: settings.tee,
    measurements: settings.measurements,
    requireTcbStatus: settings.requireTcbStatus,
    requirePolicies: settings.requirePolicies,
    clockSkewS: settings.clockSkew,
    maxTokenAgeS: settings.maxTokenAge,
    maxTokenLength: settings.maxLength,
    allowDebug: settings.allowDebug,
    allowSimulated: settings.allowSimulated,
    clock: { now: () => now, monotonic: () => 0, sleep: () => Promise.reject(new Error('nothing to wait for')) },
    ...(settings.clientId === null ? {} : { clientId: settings.clientId }),
  }
}

function expectationsOf(settings: Settings): TokenExpectations {
  const named = {
    nonce: settings.nonce,
    eatNonce: settings.eatNonce,
    reportData: settings.reportData && new Uint8Array(Buffer.from(settings.reportData, 'hex')),
    acr: settings.acr,
    maxAgeS: settings.maxAge,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null))
}

/** TOK-82 is about the same finding as TOK-81. */
const idOfRule = (rule: string) => {
  const wanted = rule === 'TOK-82' ? 'TOK-81' : rule
  return (Object.keys(tokenChecks) as TokenCheckId[]).find((id) => tokenChecks[id].rule === wanted)
}

describe.skipIf(!haveVectors)('recorded tokens of relying parties (rp-cases.json)', () => {
  it('has all of them', () => {
    expect(recorded.cases).toHaveLength(recorded.counts.accept + recorded.counts.reject)
    expect(recorded.cases).toHaveLength(91)
  })

  it.each<Settings>(recorded.cases)('$name', async (entry) => {
    const settings = { ...recorded.defaults, ...entry.override }
    const verifier = createTokenVerifier(trustOf(settings))
    const { affirmed, findings } = await verifier.appraise(entry.token, expectationsOf(settings))
    const failed = findings.filter(({ outcome }) => outcome === 'failed')
    const bad = findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
    expect({ affirmed, failed }).toEqual(
      entry.verdict === 'accept' ? { affirmed: true, failed: [] } : { affirmed: false, failed: expect.anything() },
    )
    expect(bad[0]?.id).toBe(entry.rule === null ? undefined : idOfRule(entry.rule))
    if (entry.rule === 'TOK-82') expect(failed[0]?.detail).toContain('no key of the issuer has the kid')
    const accepted = verifier.accept(entry.token, expectationsOf(settings))
    if (entry.verdict === 'accept') await expect(accepted).resolves.toMatchObject({ issuer: settings.issuer })
    else if (/^TOK-7[01]$/.test(entry.rule)) await expect(accepted).rejects.toMatchObject({ name: 'MalformedError' })
    else await expect(accepted).rejects.toMatchObject({ name: 'DistrustedError', facts: { check: bad[0]?.id } })
  })

  it('refuses the documented sample of the hosted service for its unknown key alone, at its own time', async () => {
    const settings = { ...recorded.defaults, requireTcbStatus: null, requirePolicies: [], now: 1742983765 }
    const issuer = 'https://attest.cn-beijing.aliyuncs.com'
    const verifier = createTokenVerifier({
      ...trustOf({ ...settings, issuer, audience: issuer, profile: 'alibaba' }),
      measurements: null,
    })
    const { findings } = await verifier.appraise(Buffer.from(vector('token/alibaba-sample.jwt')).toString('latin1'))
    expect(findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual(['token.key'])
  })
})
