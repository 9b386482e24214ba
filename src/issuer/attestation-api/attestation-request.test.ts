import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { evidenceText } from '../../../test/support/verifier-rig.ts'
import { toBase64, toBase64url, toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { parseAttestationRequest } from './attestation-request.ts'

const quote = createSimulator({ clock: new FakeClock() }).quote({ reportData: new Uint8Array(64) })
const encode = (value: unknown) => toBase64url(Buffer.from(JSON.stringify(value)))
const inner = (more: JsonObject) => encode({ quote: toBase64(quote), ...more })

const usual: JsonObject = {
  tee: 'tdx',
  evidence: evidenceText(quote),
  policy_ids: [],
  runtime_data: { raw: 'q80B' },
}
const without = (name: string) => Object.fromEntries(Object.entries(usual).filter(([member]) => member !== name))
const read = (body: unknown) => parseAttestationRequest(Buffer.from(JSON.stringify(body)))

/** Code, status and field of the refusal, or `taken`. */
function outcome(work: () => unknown): string {
  try {
    work()
    return 'taken'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return [error.code.replace('AS.', ''), error.status, error.facts['field']].filter(Boolean).join(' ')
  }
}

const evidence = (value: JsonValue) => ({ ...usual, evidence: value })
const runtime = (value: JsonValue, more: JsonObject = {}) => ({ ...usual, runtime_data: value, ...more })
const init = (value: JsonValue, more: JsonObject = {}) => ({ ...usual, init_data: value, ...more })
const newer = (...requests: JsonValue[]) => ({ verification_requests: requests, policy_ids: [] })

const tomlOf = (size: number) => 'version = "1"\nalgorithm = "sha256"\n[data]\na = "1"\n#'.padEnd(size, 'x')

it('a refusal does not repeat all that was sent as `tee`', () => {
  expect(() => read({ ...usual, tee: 'x'.repeat(10_000) })).toThrow(/^.{1,200}$/)
})

describe('a request, member by member', () => {
  const table: readonly [string, unknown, string][] = [
    ['the usual one', usual, 'taken'],
    ['no policies', without('policy_ids'), 'taken'],
    ['members of others (SVC-10)', { ...usual, nonce: 1, comment: '' }, 'taken'],
    // tee (SVC-06)
    ['no tee', without('tee'), 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['another tee', { ...usual, tee: 'sgx' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['a tpm', { ...usual, tee: 'tpm' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['a device', { ...usual, tee: 'nvgpu' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['a TD with a device', { ...usual, tee: 'acstdxnvgpu' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['a sample', { ...usual, tee: 'sample' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['capitals', { ...usual, tee: 'TDX' }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    ['a number', { ...usual, tee: 1 }, 'REQUEST.UNSUPPORTED_TEE 400 tee'],
    // evidence (SVC-07, SVC-20, SVC-41)
    ['no evidence', without('evidence'), 'EVIDENCE.INVALID_FORMAT 400 evidence'],
    ['evidence as an object', evidence({ quote: '' }), 'EVIDENCE.INVALID_FORMAT 400 evidence'],
    ['padded evidence', evidence('e30='), 'EVIDENCE.INVALID_ENCODING 400 evidence'],
    ['evidence in the other alphabet', evidence('+/+/'), 'EVIDENCE.INVALID_ENCODING 400 evidence'],
    ['evidence that is no JSON', evidence(toBase64url(Buffer.from('{'))), 'EVIDENCE.INVALID_FORMAT 400 evidence'],
    ['evidence that is a list', evidence(encode([])), 'EVIDENCE.INVALID_FORMAT 400 evidence'],
    ['a member twice', evidence(toBase64url(Buffer.from('{"a":1,"a":1}'))), 'EVIDENCE.INVALID_FORMAT 400 evidence'],
    ['no quote', evidence(encode({})), 'EVIDENCE.INVALID_FORMAT 400 evidence.quote'],
    ['an empty quote', evidence(encode({ quote: '' })), 'EVIDENCE.INVALID_FORMAT 400 evidence.quote'],
    ['a quote as a list', evidence(encode({ quote: [1] })), 'EVIDENCE.INVALID_FORMAT 400 evidence.quote'],
    [
      'a quote in the outer alphabet',
      evidence(encode({ quote: toBase64url(new Uint8Array(1024)) })),
      'EVIDENCE.INVALID_ENCODING 400 evidence.quote',
    ],
    [
      'a quote that is too short',
      evidence(encode({ quote: toBase64(new Uint8Array(1019)) })),
      'EVIDENCE.INVALID_QUOTE 422 evidence.quote',
    ],
    ['the shortest quote', evidence(encode({ quote: toBase64(new Uint8Array(1020)) })), 'taken'],
    ['the longest quote', evidence(encode({ quote: toBase64(new Uint8Array(16_384)) })), 'taken'],
    [
      'a quote that is too long',
      evidence(encode({ quote: toBase64(new Uint8Array(16_385)) })),
      'EVIDENCE.INVALID_QUOTE 422 evidence.quote',
    ],
    ['no log', evidence(inner({ cc_eventlog: null })), 'taken'],
    ['a log', evidence(inner({ cc_eventlog: 'AAAA' })), 'taken'],
    ['an empty log', evidence(inner({ cc_eventlog: '' })), 'EVIDENCE.INVALID_FORMAT 400 evidence.cc_eventlog'],
    [
      'a log without padding',
      evidence(inner({ cc_eventlog: 'AA' })),
      'EVIDENCE.INVALID_ENCODING 400 evidence.cc_eventlog',
    ],
    ['the longest log', evidence(inner({ cc_eventlog: toBase64(new Uint8Array(2 ** 21)) })), 'taken'],
    [
      'a log that is too long',
      evidence(inner({ cc_eventlog: toBase64(new Uint8Array(2 ** 21 + 1)) })),
      'EVIDENCE.INVALID_FORMAT 400 evidence.cc_eventlog',
    ],
    ['an empty older log', evidence(inner({ aa_eventlog: '' })), 'taken'],
    ['an older log', evidence(inner({ aa_eventlog: 'AAAA' })), 'EVIDENCE.INVALID_FORMAT 400 evidence.aa_eventlog'],
    ['no evidence of devices', evidence(inner({ gpu_evidence: null })), 'taken'],
    ['evidence of devices', evidence(inner({ gpu_evidence: [] })), 'EVIDENCE.INVALID_FORMAT 400 evidence.gpu_evidence'],
    ['other members of evidence', evidence(inner({ more: 1 })), 'taken'],
    // policy_ids (SVC-08)
    ['ten policies', { ...usual, policy_ids: Array.from('abcdefghij') }, 'taken'],
    ['eleven policies', { ...usual, policy_ids: Array.from('abcdefghijk') }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids'],
    ['a policy that is no list', { ...usual, policy_ids: 'a' }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids'],
    ['the longest id', { ...usual, policy_ids: ['x'.repeat(128)] }, 'taken'],
    ['a longer id', { ...usual, policy_ids: ['a', 'x'.repeat(129)] }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids[1]'],
    ['an empty id', { ...usual, policy_ids: [''] }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids[0]'],
    ['a path as id', { ...usual, policy_ids: ['../x'] }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids[0]'],
    ['a number as id', { ...usual, policy_ids: [1] }, 'REQUEST.INVALID_ARGUMENT 400 policy_ids[0]'],
    // runtime_data (SVC-09, SVC-25)
    ['no runtime data', without('runtime_data'), 'taken'],
    ['runtime data as a text', runtime('q80B'), 'REQUEST.INVALID_ARGUMENT 400 runtime_data'],
    ['an empty object', runtime({}), 'REQUEST.INVALID_ARGUMENT 400 runtime_data'],
    ['both kinds', runtime({ raw: 'q80B', structured: {} }), 'REQUEST.INVALID_ARGUMENT 400 runtime_data'],
    ['another kind', runtime({ cooked: 'q80B' }), 'REQUEST.INVALID_ARGUMENT 400 runtime_data'],
    ['raw that is null', runtime({ raw: null, structured: {} }), 'taken'],
    ['raw as a list', runtime({ raw: [1] }), 'REQUEST.INVALID_ARGUMENT 400 runtime_data.raw'],
    ['a document as a text', runtime({ structured: '{}' }), 'REQUEST.INVALID_ARGUMENT 400 runtime_data.structured'],
    ['the longest document', runtime({ structured: { a: 'x'.repeat(65_528) } }), 'taken'],
    [
      'a longer document',
      runtime({ structured: { a: 'x'.repeat(65_529) } }),
      'REQUEST.INVALID_ARGUMENT 400 runtime_data.structured',
    ],
    ['a hash', runtime({ structured: {} }, { runtime_data_hash_algorithm: 'sha512' }), 'taken'],
    [
      'another hash',
      runtime({ structured: {} }, { runtime_data_hash_algorithm: 'sha1' }),
      'REQUEST.INVALID_ARGUMENT 400 runtime_data_hash_algorithm',
    ],
    [
      'a hash of raw bytes',
      runtime({ raw: 'q80B' }, { runtime_data_hash_algorithm: 'sha384' }),
      'REQUEST.INVALID_ARGUMENT 400 runtime_data_hash_algorithm',
    ],
    // init_data (SVC-28)
    ['a digest', init({ init_data_digest: toBase64url(new Uint8Array(32)) }), 'taken'],
    ['a short digest', init({ init_data_digest: 'AA' }), 'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_digest'],
    ['a padded digest', init({ init_data_digest: 'AA==' }), 'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_digest'],
    ['a digest as a number', init({ init_data_digest: 1 }), 'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_digest'],
    ['no form that is known', init({ digest: 'AA' }), 'REQUEST.INVALID_ARGUMENT 400 init_data'],
    [
      'two forms',
      init({ init_data_digest: toBase64url(new Uint8Array(32)), init_data_toml: '' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data',
    ],
    ['text that is no TOML', init({ init_data_toml: 'a = ' }), 'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml'],
    [
      'TOML without a hash',
      init({ init_data_toml: 'version = "1"' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml',
    ],
    [
      'TOML without data',
      init({ init_data_toml: 'version = "1"\nalgorithm = "sha256"' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml',
    ],
    [
      'TOML with data that are no texts',
      init({ init_data_toml: 'version = "1"\nalgorithm = "sha256"\n[data]\na = 1' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml',
    ],
    [
      'TOML without a version',
      init({ init_data_toml: 'algorithm = "sha256"\n[data]\na = "1"' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml',
    ],
    ['TOML of 64 KiB', init({ init_data_toml: tomlOf(65_536) }), 'taken'],
    ['more TOML', init({ init_data_toml: tomlOf(65_537) }), 'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml'],
    ['sixteen requests', newer(...Array(16).fill(usual)), 'REQUEST.INVALID_ARGUMENT 400 verification_requests[1]'],
    ['TOML', init({ init_data_toml: 'version = "1"\nalgorithm = "sha256"\n[data]\na = "1"' }), 'taken'],
    [
      'longer TOML',
      init({ init_data_toml: `#${'x'.repeat(65_536)}` }),
      'REQUEST.INVALID_ARGUMENT 400 init_data.init_data_toml',
    ],
    ['init data of the older era', init({ structured: { a: 1 } }, { init_data_hash_algorithm: 'sha256' }), 'taken'],
    ['raw init data of the older era', init({ raw: 'AAAA' }), 'taken'],
    [
      'a hash that is for nothing',
      init({ raw: 'AAAA' }, { init_data_hash_algorithm: 'sha256' }),
      'REQUEST.INVALID_ARGUMENT 400 init_data_hash_algorithm',
    ],
    // the newer shape (AS-01, AS-02)
    ['the newer shape', newer(without('policy_ids')), 'taken'],
    ['no request', newer(), 'REQUEST.INVALID_ARGUMENT 400 verification_requests'],
    ['no list', { verification_requests: {} }, 'REQUEST.INVALID_ARGUMENT 400 verification_requests'],
    ['seventeen requests', newer(...Array(17).fill(usual)), 'REQUEST.INVALID_ARGUMENT 400 verification_requests'],
    ['a request that is no object', newer(1), 'REQUEST.INVALID_ARGUMENT 400 verification_requests[0]'],
    ['two TDs', newer(usual, usual), 'REQUEST.INVALID_ARGUMENT 400 verification_requests[1]'],
    [
      'a TD and a device',
      newer(usual, { ...usual, tee: 'nvidia' }),
      'REQUEST.UNSUPPORTED_TEE 400 verification_requests[1].tee',
    ],
    ['both shapes', { ...newer(usual), tee: 'tdx' }, 'REQUEST.INVALID_ARGUMENT 400 tee'],
    [
      'additional data',
      newer({ ...usual, additional_data: 'x' }),
      'REQUEST.INVALID_ARGUMENT 400 verification_requests[0].additional_data',
    ],
    [
      'a bad quote in the newer shape',
      newer(evidence(encode({ quote: 1 }))),
      'EVIDENCE.INVALID_FORMAT 400 verification_requests[0].evidence.quote',
    ],
    [
      'bad runtime data in the newer shape',
      newer(runtime({ raw: '' })),
      'REQUEST.INVALID_ARGUMENT 400 verification_requests[0].runtime_data.raw',
    ],
  ]

  it.each(table)('%s', (_, body, expected) => {
    expect(outcome(() => read(body))).toBe(expected)
  })

  it('gives the same request in both shapes (AS-01)', () => {
    const { place, ...older } = read(usual)
    const { place: below, ...same } = read(newer(without('policy_ids')))
    expect([place, below]).toEqual(['', 'verification_requests[0].'])
    expect(same).toEqual(older)
  })

  it('counts what it does not know at the top, and nothing below (SVC-10)', () => {
    expect(read({ ...usual, a: 1, b: {} }).ignoredMembers).toBe(2)
    expect(read({ ...newer({ ...usual, a: 1 }), b: 1 }).ignoredMembers).toBe(1)
  })

  it('does not speak in the words at which published clients fall back (AS-07)', () => {
    for (const name of ['tee', 'evidence', 'runtime_data']) {
      try {
        read({ ...usual, [name]: undefined })
      } catch (error) {
        expect(String(error)).not.toMatch(/missing field|Failed to get inner tee/)
      }
    }
  })
})

describe('a body that is not strict JSON (SVC-10)', () => {
  const deep = (levels: number) => `{"tee":${'['.repeat(levels)}${']'.repeat(levels)}}`

  it.each([
    ['a comment', '{"tee":"tdx" /* c */}', 'line 1, column 14'],
    ['a trailing comma', '{"tee":"tdx",}', 'line 1, column 14'],
    ['a member twice', '{"tee":"tdx",\n "tee":"sgx"}', 'line 2, column 2'],
    ['too deep', deep(32), 'deeper than 32'],
    ['of more values than any request has', `{"a":[${'0,'.repeat(4094)}0]}`, 'more than 4096 values'],
    ['half of a surrogate pair', '{"tee":"\\ud800"}', 'surrogate'],
    ['a list', '[]', 'not a JSON object'],
    ['nothing', '', 'line 1, column 1'],
  ])('%s', (_, text, says) => {
    expect(() => parseAttestationRequest(Buffer.from(text))).toThrow(says)
    expect(outcome(() => parseAttestationRequest(Buffer.from(text)))).toBe('REQUEST.INVALID_JSON 400')
  })

  it('or not UTF-8', () => {
    expect(outcome(() => parseAttestationRequest(Buffer.from([0x7b, 0xff, 0x7d])))).toBe('REQUEST.INVALID_JSON 400')
  })

  it('may have 4096 values', () => {
    const body = Buffer.from(`{"a":[${'0,'.repeat(4093)}0]}`)
    expect(outcome(() => parseAttestationRequest(body))).toBe('REQUEST.UNSUPPORTED_TEE 400 tee')
  })

  it('may be as deep as 32 levels', () => {
    expect(outcome(() => parseAttestationRequest(Buffer.from(deep(31))))).toBe('REQUEST.UNSUPPORTED_TEE 400 tee')
  })
})

describe('init data (SVC-28)', () => {
  const toml = 'version = "0.1.0"\nalgorithm = "sha512"\n[data]\n"aa.toml" = "x"\n__proto__ = "y"\n'

  it('in TOML have the digest of the whole text, cut to 48 bytes, and go into the token as what they say', () => {
    const { initData } = read(init({ init_data_toml: toml }))
    const sha512 = '5a0318238fc61861a8a565b402f8d040ec5204f2a16dddb188a034861cb676d5e865ae47bb5460fc6619f85292302015'
    expect(toHex(initData?.digest ?? new Uint8Array())).toBe(sha512)
    expect(JSON.stringify(initData?.document)).toBe(
      '{"version":"0.1.0","algorithm":"sha512","data":{"aa.toml":"x","__proto__":"y"}}',
    )
  })

  it.each([
    ['a digest', { init_data_digest: toBase64url(new Uint8Array(64).fill(9)) }, '09'.repeat(48)],
    ['raw bytes', { raw: 'q80B' }, 'abcd01'],
  ])('as %s say nothing in the token', (_, value, digest) => {
    const { initData } = read(init(value))
    expect([toHex(initData?.digest ?? new Uint8Array()), initData?.document]).toEqual([digest, null])
  })
})
