import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { canonicalJson } from '../../src/base/json.ts'

/** Seconds since the epoch at which the tokens below are good. */
export const tokenNow = 1_800_000_000

export type Members = Record<string, unknown>

const makeKeys = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
}
const hashes = { RS256: 'sha256', ES256: 'sha256', ES384: 'sha384', EdDSA: null }

export const base64url = (value: string | Uint8Array) => Buffer.from(value).toString('base64url')

/** An issuer with one key. It signs whatever it is given: objects, or the exact text of a header and a payload. */
export function createTestIssuer(alg: keyof typeof makeKeys, kid = 'key-1') {
  const { privateKey, publicKey } = makeKeys[alg]()
  const jwk: Members = { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg, kid }
  return {
    alg,
    kid,
    jwk,
    publicKey,
    privateKey,
    sign: (payload: Members | string | Uint8Array, header: Members | string = { alg, kid, typ: 'JWT' }) =>
      signCompact(privateKey, hashes[alg], header, payload),
  }
}

export function signCompact(
  key: KeyObject,
  hash: string | null,
  header: Members | string,
  payload: Members | string | Uint8Array,
) {
  const text = (value: Members | string | Uint8Array) =>
    base64url(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value))
  const input = `${text(header)}.${text(payload)}`
  return `${input}.${base64url(sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }))}`
}

const hex = (byte: string, length: number) => byte.repeat(length)
const runtimeData = { nonce: 'nonce-of-the-guest', purpose: 'test' }
export const reportData = createHash('sha384').update(canonicalJson(runtimeData)).digest('hex').padEnd(128, '0')
export const initData = hex('1d', 32).padEnd(96, '0')
export const accessToken = 'access-token-of-this-exchange'
export const code = 'code-of-this-exchange'

const half = (value: string) => base64url(createHash('sha256').update(value).digest().subarray(0, 16))

const quote = {
  header: { version: '0500', tee_type: '81000000' },
  body: {
    mr_td: hex('aa', 48),
    rtmr_1: hex('b1', 48),
    mr_config_id: initData,
    report_data: reportData,
    td_attributes: '0000001000000000',
  },
}
const tdAttributes = { debug: false, septve_disable: true }

/** A composite token (TD and GPUs) of profile `attestd` with every claim that a check looks at; for RS256 or ES256. */
export function attestdPayload(): Members {
  return structuredClone({
    iss: 'https://verifier.test',
    sub: 'attestd:v1:workload:xZxJmTu0v86cpPTagjJ_r4Ca2Nw9y0nKQHKfMBZluKA',
    aud: ['https://rp.test', 'https://other.test'],
    azp: 'client-1',
    exp: tokenNow + 870,
    iat: tokenNow - 30,
    nbf: tokenNow - 30,
    jti: '6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10',
    nonce: 'openid-nonce',
    eat_nonce: ['nonce-of-another', 'nonce-of-the-guest'],
    auth_time: tokenNow - 40,
    acr: 'urn:attestd:acr:tdx+nvgpu',
    amr: ['swk'],
    at_hash: half(accessToken),
    c_hash: half(code),
    eat_profile: 'urn:attestd:eat:1',
    tee: 'acstdxnvgpu',
    tdx: { quote, td_attributes: tdAttributes },
    gpu: [{ hwmodel: 'GH100' }, { hwmodel: 'GH100' }],
    tcb: { status: 'UpToDate', advisories: ['INTEL-SA-00001'], evaluationDataNumber: 17 },
    customized_claims: { init_data: null, runtime_data: runtimeData },
    'evaluation-reports': [{ 'policy-id': 'default', 'policy-hash': hex('9a', 32) }],
    dbgstat: 'disabled',
    intuse: 'generic',
    cnf: { jkt: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw' },
    attestd: {
      profile: 1,
      simulated: false,
      freshness: 'challenge',
      runtimeDataHash: 'sha384',
      binding: [{ edge: 'tdx+nvgpu', outcome: 'passed' }],
      appraisedAt: tokenNow - 40,
      waived: [],
    },
  })
}

/** A token of one TD in profile `alibaba`. */
export function alibabaPayload(): Members {
  const flat: Members = { init_data: initData, report_data: reportData }
  for (const [name, value] of Object.entries(quote.body)) flat[`tdx.quote.body.${name}`] = value
  for (const [name, value] of Object.entries(tdAttributes)) flat[`tdx.td_attributes.${name}`] = value
  return {
    aud: 'https://verifier.test',
    customized_claims: { init_data: null, runtime_data: null },
    eat_profile: 'https://www.alibabacloud.com/help/en/ecs/user-guide/eat-profile',
    'evaluation-reports': [{ 'policy-hash': null, 'policy-id': 'default' }],
    exp: tokenNow + 21_570,
    iat: tokenNow - 30,
    iss: 'https://verifier.test',
    jti: '039cdfc9-6ec1-41d4-8da8-6a59584c2fa9',
    nbf: tokenNow - 30,
    'tcb-status': JSON.stringify(flat),
    tee: 'tdx',
  }
}

/** A token of a TPM: no TD, so no report data, debug attributes or TCB status. */
export function tpmPayload(): Members {
  const { gpu, tdx, tcb, dbgstat, ...rest } = attestdPayload()
  return {
    ...rest,
    tee: 'tpm',
    acr: 'urn:attestd:acr:tpm',
    tpm: { pcr: { 0: hex('c0', 32), 7: hex('c7', 32) }, secure_boot: true },
    ima: { verified: true },
    customized_claims: { init_data: null, runtime_data: null },
    attestd: { profile: 1, simulated: false, freshness: 'challenge', binding: [], waived: [] },
  }
}
