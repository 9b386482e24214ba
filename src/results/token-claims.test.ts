import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { AttestdError } from '../base/errors.ts'
import { canonicalJson, type JsonObject } from '../base/json.ts'
import { composeAcr, type Tee } from './acr.ts'
import { hashClaim } from './hash-claims.ts'
import { reservedClaims } from './reserved-claims.ts'
import { composeTokenClaims, type TokenClaimsInput } from './token-claims.ts'
import { listWaivedRules } from './waived-rules.ts'

const jkt = 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw'
const jwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'RYc9VD1N-CfAM3FbPcNSTfdHDlAsHqGlkmVbIrmbwRw',
  y: 'l0JHvAjX4aV6JiP3rSq5ydDHXwSh3iRxijEZbxcK9BA',
}

const base: TokenClaimsInput = {
  issuer: 'https://verifier.example',
  subject: 'attestd:v1:key:x',
  audience: ['https://rp.example'],
  issuedAt: 1_800_000_000,
  expiresAt: 1_800_000_900,
  jti: '6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10',
  nonces: [],
  cnf: null,
  tee: 'tpm',
  claims: { tpm: { ak_trusted: true, pcr: { '0': 'aa', '10': 'bb', '2': 'cc' } }, secret: 'never emitted' },
  appraisedAt: 1_799_999_990,
  freshness: 'challenge',
  binding: [],
  simulated: false,
  waived: [],
  policies: [],
}
const tdx = { td_attributes: { debug: false } }
const code = (input: TokenClaimsInput) => {
  try {
    composeTokenClaims(input)
  } catch (error) {
    return error instanceof AttestdError ? error.code : String(error)
  }
  return 'composed'
}

interface MintCase {
  readonly name: string
  readonly profile: string
  readonly key: string
  // biome-ignore lint/suspicious/noExplicitAny: recorded claims, compared as they are
  readonly claims: any
  readonly token: string
}

/** The input that the recorded claims must have been made from. */
function inputOf({ claims }: MintCase): TokenClaimsInput {
  return {
    issuer: claims.iss,
    subject: claims.sub,
    audience: [claims.aud],
    issuedAt: claims.iat,
    expiresAt: claims.exp,
    jti: claims.jti,
    nonces: [claims.eat_nonce],
    cnf: claims.cnf,
    tee: claims.tee,
    claims: { tdx: claims.tdx, tcb: claims.tcb },
    appraisedAt: claims.attestd.appraisedAt,
    freshness: claims.attestd.freshness,
    binding: claims.attestd.binding,
    simulated: claims.attestd.simulated,
    waived: claims.attestd.waived,
    policies: claims['evaluation-reports'].map((report: JsonObject) => ({
      id: report['policy-id'],
      hash: report['policy-hash'],
    })),
    runtimeData: { document: claims.customized_claims.runtime_data, hash: claims.attestd.runtimeDataHash },
  }
}

describe.skipIf(!haveVectors)('claims of the vectors', () => {
  const cases: MintCase[] = haveVectors ? vectorJson('token/mint-cases.json').cases : []

  it.each(cases.filter(({ profile }) => profile === 'attestd'))('$name with $key', (mint) => {
    const claims = composeTokenClaims(inputOf(mint))
    expect(claims).toEqual(mint.claims)
    const payload = Buffer.from(mint.token.split('.')[1] ?? '', 'base64url').toString()
    expect(canonicalJson(claims)).toBe(payload)
  })

  it('hashes tokens and codes as published (TOK-20)', () => {
    const { published, cases: hashes } = vectorJson('token/hash-claims.json')
    for (const { alg, value, expected } of [...published, ...hashes]) expect(hashClaim(alg, value)).toBe(expected)
  })
})

describe('the claims of profile attestd (token.md section 3)', () => {
  it('carry exactly this for a TPM', () => {
    expect(composeTokenClaims(base)).toEqual({
      iss: 'https://verifier.example',
      sub: 'attestd:v1:key:x',
      aud: 'https://rp.example',
      exp: 1_800_000_900,
      iat: 1_800_000_000,
      nbf: 1_800_000_000,
      jti: '6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10',
      acr: 'urn:attestd:acr:tpm',
      eat_profile: 'urn:attestd:eat:1',
      tee: 'tpm',
      tpm: base.claims['tpm'],
      customized_claims: { init_data: null, runtime_data: null },
      'evaluation-reports': [],
      intuse: 'generic',
      attestd: {
        profile: 1,
        simulated: false,
        freshness: 'challenge',
        binding: [],
        appraisedAt: 1_799_999_990,
        waived: [],
      },
    })
  })

  it('leave the content of event logs to policies, and keep what was found out about the log', () => {
    const claims = {
      tdx: { ...tdx, eventlog_verified: true, eventlog: { kernel_cmdline: ['x'.repeat(10_000)] } },
      tcb: {},
    }
    expect(composeTokenClaims({ ...base, tee: 'tdx', claims })['tdx']).toEqual({ ...tdx, eventlog_verified: true })
  })

  it('put several audiences and nonces into arrays, in order (TOK-11, TOK-15)', () => {
    const claims = composeTokenClaims({ ...base, audience: ['a', 'b'], nonces: ['nonce-02', 'nonce-01'] })
    expect(claims['aud']).toEqual(['a', 'b'])
    expect(claims['eat_nonce']).toEqual(['nonce-02', 'nonce-01'])
  })

  it.each<[string, TokenClaimsInput['cnf'], unknown, unknown]>([
    ['a software key', { jkt }, { jkt }, ['swk']],
    ['a key that the TPM certified', { jkt, certifiedByTpm: true }, { jkt }, ['hwk']],
    ['a proved key', { jkt, possessionProved: true }, { jkt }, ['swk', 'pop']],
    ['the key itself, without its private member', { jkt, jwk: { ...jwk, d: 'c2VjcmV0' } }, { jwk }, ['swk']],
  ])('name %s (TOK-19, TOK-29)', (_, cnf, expected, amr) => {
    expect(composeTokenClaims({ ...base, cnf })).toMatchObject({ cnf: expected, amr })
  })

  it('carry the context of an OpenID request (TOK-14, TOK-16, TOK-17, TOK-20)', () => {
    const openid = { nonce: 'n', clientId: 'c', authTime: true, atHash: 'h', cHash: 'i' }
    expect(composeTokenClaims({ ...base, openid })).toMatchObject({
      nonce: 'n',
      azp: 'c',
      auth_time: 1_799_999_990,
      at_hash: 'h',
      c_hash: 'i',
    })
    expect(composeTokenClaims({ ...base, audience: ['c'], openid })).not.toHaveProperty('azp')
    expect(composeTokenClaims({ ...base, audience: ['c', 'd'], openid })).toHaveProperty('azp', 'c')
  })

  it.each<[string, TokenClaimsInput, string]>([
    ['a TPM token without tpm claims', { ...base, claims: {} }, 'CLAIM_MISSING'],
    ['a TD token without tcb', { ...base, tee: 'tdx', claims: { tdx } }, 'CLAIM_MISSING'],
    ['a TD token without debug mode', { ...base, tee: 'tdx', claims: { tdx: {}, tcb: {} } }, 'CLAIM_MISSING'],
    ['a GPU that does not say', { ...base, tee: 'nvgpu', claims: { gpu: [{ dbgstat: null }] } }, 'CLAIM_MISSING'],
    ['a policy that sets sub', { ...base, policyClaims: { sub: 'x' } }, 'CLAIM_RESERVED'],
    ['a policy that sets tcb', { ...base, policyClaims: { tcb: {} } }, 'CLAIM_RESERVED'],
  ])('are refused: %s', (_, input, expected) => {
    expect(code(input)).toBe(expected)
  })

  it.each<[string, TokenClaimsInput]>([
    ['no audience', { ...base, audience: [] }],
    ['fractional times', { ...base, issuedAt: 0.5 }],
    ['an end at the start', { ...base, expiresAt: base.issuedAt }],
    ['a nonce that is bound and unbound', { ...base, freshness: 'unbound', nonces: ['nonce-01'] }],
    ['a key under the thumbprint of another', { ...base, cnf: { jkt: 'A'.repeat(43), jwk } }],
  ])('%s is a bug', (_, input) => {
    expect(code(input)).toContain('TypeError')
  })

  it('say that a part is in debug mode (TOK-27)', () => {
    const claims = { tdx, tcb: {}, gpu: [{ dbgstat: 'disabled' }, { dbgstat: 'enabled' }] }
    expect(composeTokenClaims({ ...base, tee: 'acstdxnvgpu', claims })).toHaveProperty('dbgstat', 'enabled')
    const { gpu: _, ...alone } = claims
    expect(composeTokenClaims({ ...base, tee: 'tdx', claims: alone })).toHaveProperty('dbgstat', 'disabled')
  })

  it('take the claims of a policy beside the reserved ones', () => {
    expect(composeTokenClaims({ ...base, policyClaims: { tier: 'gold' } })).toHaveProperty('tier', 'gold')
  })

  it('reserve every name that the profile emits (POL-427)', () => {
    const openid = { nonce: 'n', clientId: 'c', authTime: true, atHash: 'h', cHash: 'i' }
    const claims = { tdx, tcb: {}, tpm: {}, ima: {}, gpu: [{ dbgstat: 'disabled' }] }
    const all = composeTokenClaims({ ...base, nonces: ['nonce-01'], cnf: { jkt }, claims, openid })
    expect(Object.keys(all).filter((name) => !reservedClaims.has(name))).toEqual([])
  })

  it('sort members at every depth when written, numbers as text like any other name', () => {
    const claims = { tpm: { z: [{ b: 1, a: 2 }], pcr: { '10': 'x', '2': 'y' }, ak: { d: 1, c: 2 } } }
    expect(canonicalJson(composeTokenClaims({ ...base, claims }))).toBe(
      '{"acr":"urn:attestd:acr:tpm",' +
        '"attestd":{"appraisedAt":1799999990,"binding":[],"freshness":"challenge","profile":1,"simulated":false,"waived":[]},' +
        '"aud":"https://rp.example","customized_claims":{"init_data":null,"runtime_data":null},' +
        '"eat_profile":"urn:attestd:eat:1","evaluation-reports":[],"exp":1800000900,"iat":1800000000,"intuse":"generic",' +
        '"iss":"https://verifier.example","jti":"6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10","nbf":1800000000,' +
        '"sub":"attestd:v1:key:x","tee":"tpm",' +
        '"tpm":{"ak":{"c":2,"d":1},"pcr":{"10":"x","2":"y"},"z":[{"a":2,"b":1}]}}',
    )
  })
})

describe('acr (TOK-18)', () => {
  const passed = (edge: string) => ({ edge, outcome: 'passed' as const })

  it.each<[string, Tee, string[], string]>([
    ['a TPM', 'tpm', [], 'tpm'],
    ['a TD', 'tdx', [], 'tdx'],
    ['a TD with its TPM', 'tdx', ['tdx+tpm'], 'tdx+tpm'],
    ['GPUs', 'nvgpu', [], 'nvgpu'],
    ['a TD with GPUs', 'acstdxnvgpu', ['tdx+nvgpu'], 'tdx+nvgpu'],
    ['all three, whatever the order of the edges', 'acstdxnvgpu', ['tdx+nvgpu', 'tdx+tpm'], 'tdx+tpm+nvgpu'],
    ['GPUs that are merely present', 'acstdxnvgpu', [], 'tdx'],
  ])('of %s', (_, tee, edges, expected) => {
    expect(composeAcr(tee, edges.map(passed), false)).toBe(`urn:attestd:acr:${expected}`)
    expect(composeAcr(tee, edges.map(passed), true)).toBe('urn:attestd:acr:simulated')
  })

  it.each(['failed', 'waived', 'unreached'] as const)('does not name a kind whose edge is %s', (outcome) => {
    expect(composeAcr('tdx', [{ edge: 'tdx+tpm', outcome }], false)).toBe('urn:attestd:acr:tdx')
  })
})

describe('waived rules (TOK-03)', () => {
  const declaration = (rule: string) => ({ title: 't', rule, remedy: 'r' })
  const checks = { 'a.b': declaration('X-2'), 'a.c': declaration('X-1'), 'a.d': declaration('X-2') }

  it('are listed once each, sorted', () => {
    const findings = (['a.b', 'a.c', 'a.d'] as const).map((id) => ({ id, outcome: 'waived' as const }))
    expect(listWaivedRules({ findings }, checks)).toEqual(['X-1', 'X-2'])
    expect(listWaivedRules({ findings: [{ id: 'a.b', outcome: 'passed' }] }, checks)).toEqual([])
  })

  it('are those of waived checks alone, and stand once each in a token', () => {
    const findings = (['failed', 'unreached'] as const).map((outcome) => ({ id: 'a.b' as const, outcome }))
    expect(listWaivedRules({ findings }, checks)).toEqual([])
    const claims = composeTokenClaims({ ...base, waived: ['X-2', 'X-1', 'X-2'] })
    expect(claims['attestd']).toMatchObject({ waived: ['X-1', 'X-2'] })
  })

  it('of a check that nobody declares are a bug', () => {
    expect(() => listWaivedRules({ findings: [{ id: 'toString', outcome: 'waived' }] }, checks)).toThrow(TypeError)
  })
})

describe('hash claims (TOK-20)', () => {
  it('take no algorithm that we do not sign with', () => {
    expect(() => hashClaim('HS256', 'a')).toThrow(TypeError)
    expect(() => hashClaim('toString', 'a')).toThrow(TypeError)
  })
})
