import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePem } from '../../src/base/pki/pem.ts'
import { encodeCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { encodeTdxEvidence } from '../../src/evidence/tdx/evidence-json.ts'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { builtProgram } from '../../test/support/built-program.ts'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { createSimulator } from '../tdx/simulator.ts'
import { judgeQuotes } from './judge-quotes.ts'
import { decodeRaw } from './runtime-data.ts'
import { type AttestationServiceDouble, openAttestationService } from './service.ts'
import { startAttestationService } from './start.ts'

const now = Date.now()
const simulator = createSimulator({ clock: { now: () => now } })
const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const quote = simulator.quote({ version: 5, bodyType: 3, reportData })
let service: AttestationServiceDouble

beforeAll(async () => {
  const trustAnchors = [{ ...simulator.pki.anchor, simulator: true }]
  service = await openAttestationService({
    judge: judgeQuotes({ trustAnchors, collateral: () => simulator.collateral() }),
  })
})
afterAll(() => service.close())

const inner = (bytes = quote) =>
  encodeTdxEvidence({ quote: bytes, ccEventLog: null, simulated: true }, { hints: false })
const evidenceText = (content: unknown = inner()) => Buffer.from(JSON.stringify(content)).toString('base64url')
const raw = (bytes = reportData) => ({ raw: Buffer.from(bytes).toString('base64url') })
const sound = () => ({ tee: 'tdx', evidence: evidenceText(), policy_ids: [], runtime_data: raw() })

async function post(
  body: unknown,
  headers: Record<string, string> = { 'content-type': 'application/json' },
  path = '/v1/attestation',
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await fetch(`${service.url}${path}`, { method: 'POST', body: Buffer.from(text), headers })
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text(), answer }
}

/** `200`, or status, code and field of the problem. */
async function told(body: unknown, headers?: Record<string, string>, path?: string): Promise<string> {
  const { status, text, type } = await post(body, headers, path)
  if (status === 200) return '200'
  expect(type).toBe('application/problem+json')
  const problem = JSON.parse(text)
  expect(problem.status).toBe(status)
  return [status, problem.code, problem.field].filter((part) => part !== undefined).join(' ')
}

const verifier = (url: string) =>
  createTokenVerifier({
    issuer: url,
    audience: url,
    keys: { discovery: { allowLoopbackHttp: true } },
    profile: 'alibaba',
    tee: ['tdx'],
    measurements: null,
    requireTcbStatus: null,
    allowSimulated: true,
  })

describe('the double of the attestation service', () => {
  it('gives a token that a relying party accepts, for a quote that it really verified (SVC-11)', async () => {
    const { text, answer } = await post(sound())
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
      200,
      'application/jwt',
      'no-store',
    ])
    const accepted = await verifier(service.url).accept(text, { reportData })
    expect([accepted.simulated, accepted.freshness]).toEqual([true, 'nonce'])
  })

  it('publishes the eight members of the hosted service, sorted', async () => {
    const answer = await fetch(`${service.url}/.well-known/openid-configuration`)
    const document = JSON.parse(await answer.text()) as object
    expect(Object.keys(document)).toEqual(Object.keys(document).sort())
    if (!haveVectors) return
    const hosted = JSON.stringify(vectorJson('token/alibaba-discovery.json'))
    expect(JSON.stringify(document)).toBe(hosted.replaceAll('https://attest.cn-beijing.aliyuncs.com', service.url))
  })

  it.each(['/attestation', '/api/attestation-service/attestation'])('is found at %s too (SVC-12)', async (path) => {
    expect(await told(sound(), undefined, path)).toBe('200')
  })

  it.each<[string, () => unknown, string]>([
    ['no JSON', () => '{', '400 AS.REQUEST.INVALID_JSON'],
    ['a comment, as the documentation shows', () => '{"tee":"tdx", // x\n}', '400 AS.REQUEST.INVALID_JSON'],
    ['a duplicate member', () => '{"tee":"tdx","tee":"tdx"}', '400 AS.REQUEST.INVALID_JSON'],
    ['a list', () => [], '400 AS.REQUEST.INVALID_JSON'],
    ['another kind', () => ({ ...sound(), tee: 'nvgpu' }), '400 AS.REQUEST.UNSUPPORTED_TEE tee'],
    ['another spelling', () => ({ ...sound(), tee: 'TDX' }), '400 AS.REQUEST.UNSUPPORTED_TEE tee'],
    ['no evidence', () => ({ ...sound(), evidence: undefined }), '400 AS.REQUEST.INVALID_ARGUMENT evidence'],
    ['padding', () => ({ ...sound(), evidence: 'e30=' }), '400 AS.EVIDENCE.INVALID_ENCODING evidence'],
    ['the other alphabet', () => ({ ...sound(), evidence: '+/+/' }), '400 AS.EVIDENCE.INVALID_ENCODING evidence'],
    ['no object', () => ({ ...sound(), evidence: evidenceText([]) }), '400 AS.EVIDENCE.INVALID_FORMAT evidence'],
    [
      'a quote in base64url',
      () => ({ ...sound(), evidence: evidenceText({ quote: '-_-_' }) }),
      '400 AS.EVIDENCE.INVALID_FORMAT evidence',
    ],
    [
      'an older log',
      () => ({ ...sound(), evidence: evidenceText({ ...inner(), aa_eventlog: 'x' }) }),
      '400 AS.EVIDENCE.INVALID_FORMAT evidence',
    ],
    [
      'an unknown policy',
      () => ({ ...sound(), policy_ids: ['default', 'x'] }),
      '400 AS.REQUEST.INVALID_ARGUMENT policy_ids[1]',
    ],
    [
      'eleven policies',
      () => ({ ...sound(), policy_ids: Array(11).fill('default') }),
      '400 AS.REQUEST.INVALID_ARGUMENT policy_ids',
    ],
    [
      'structured runtime data',
      () => ({ ...sound(), runtime_data: { structured: {} } }),
      '400 AS.REQUEST.INVALID_ARGUMENT runtime_data',
    ],
    [
      'both runtime data',
      () => ({ ...sound(), runtime_data: { ...raw(), structured: {} } }),
      '400 AS.REQUEST.INVALID_ARGUMENT runtime_data',
    ],
    [
      '65 bytes',
      () => ({ ...sound(), runtime_data: raw(new Uint8Array(65)) }),
      '400 AS.REQUEST.INVALID_ARGUMENT runtime_data.raw',
    ],
    [
      'other runtime data',
      () => ({ ...sound(), runtime_data: raw(reportData.map((one) => one ^ 1)) }),
      '422 AS.EVIDENCE.BINDING_MISMATCH evidence.quote',
    ],
    [
      'no quote in the quote',
      () => ({ ...sound(), evidence: evidenceText(inner(new Uint8Array(2000))) }),
      '422 AS.EVIDENCE.INVALID_QUOTE evidence.quote',
    ],
    ['5 MiB', () => `{"tee":"${'x'.repeat(5 * 1024 * 1024)}"}`, '413 AS.REQUEST.TOO_LARGE'],
  ])('refuses %s', async (_, make, expected) => expect(await told(make())).toBe(expected))

  it('refuses quotes of others, changed quotes and platforms that are out of date, with the checks that failed', async () => {
    const other = createSimulator({ clock: { now: () => now } }).quote({ reportData })
    const flipped = Uint8Array.from(quote)
    flipped[200] = (flipped[200] ?? 0) ^ 1
    for (const [bytes, finding] of [
      [other, 'tdx.pck.anchor'],
      [flipped, 'tdx.quote.signature'],
    ] as const) {
      const { status, text } = await post({ ...sound(), evidence: evidenceText(inner(bytes)) })
      const problem = JSON.parse(text)
      expect([status, problem.code]).toEqual([422, 'AS.EVIDENCE.VERIFICATION_FAILED'])
      expect(problem.findings).toContainEqual({ id: finding, outcome: 'failed' })
    }
  })

  it.each([
    [{ 'content-type': 'application/json; charset=utf-8' }, '200'],
    [{ 'content-type': 'application/x-www-form-urlencoded' }, '200'],
    [{ 'content-type': 'text/plain' }, '200'],
    [{ 'content-type': 'application/vnd.x+json' }, '200'],
    [{ 'content-type': 'application/octet-stream' }, '415 AS.REQUEST.UNSUPPORTED_MEDIA_TYPE'],
    [{ 'content-type': 'application/json', origin: 'https://a.example' }, '400 AS.REQUEST.INVALID_ARGUMENT'],
  ])('takes a body under %j: %s (SVC-05)', async (headers, expected) => {
    expect(await told(sound(), headers)).toBe(expected)
  })

  it('compares what is given, and takes requests without binding, with shorter and with padded data (SVC-25)', async () => {
    const short = Uint8Array.of(1, 2, 3)
    const quoted = { ...sound(), evidence: evidenceText(inner(simulator.quote({ reportData: short }))) }
    expect(await told({ ...quoted, runtime_data: raw(short) })).toBe('200')
    expect(await told({ ...quoted, runtime_data: raw(Uint8Array.of(1, 2, 3, 0)) })).toBe('200')
    expect(await told({ ...quoted, runtime_data: undefined })).toBe('200')
    expect(await told({ ...quoted, runtime_data: raw(Uint8Array.of(1, 2)) })).toMatch(/BINDING_MISMATCH/)
  })

  it('serves nothing else, and this by POST alone', async () => {
    expect(await told('', undefined, '/token')).toBe('404 AS.REQUEST.NOT_FOUND')
    const answer = await fetch(`${service.url}/v1/attestation`)
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
  })

  it('misbehaves as often as it is told to', async () => {
    service.misbehave('not-found', 2)
    const statuses = [await post(sound()), await post(sound()), await post(sound())].map(({ status }) => status)
    expect(statuses).toEqual([404, 404, 200])
  })
})

describe.skipIf(!haveVectors)('runtime_data.raw (SVC-24)', () => {
  interface RawCase {
    readonly input: string
    readonly bytesHex: string | null
    readonly why: string
  }
  const cases: RawCase[] = haveVectors ? vectorJson('token/runtime-data.json').raw : []

  it.each(cases)('$why', ({ input, bytesHex }) => {
    const bytes = decodeRaw(input)
    expect(bytes === undefined ? null : Buffer.from(bytes).toString('hex')).toBe(bytesHex)
  })
})

describe('the double as a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-service-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('prints its address, says what it is, serves, misbehaves on demand and stops', async () => {
    const [trustAnchorFile, collateralFile] = [join(folder, 'root.pem'), join(folder, 'collateral.json')]
    writeFileSync(trustAnchorFile, encodePem(simulator.pki.root.certificate, 'CERTIFICATE'))
    writeFileSync(collateralFile, encodeCollateral(simulator.collateral()))
    const program = join(dirname(await builtProgram()), '../../mocks/attestation-service/main.js')
    const running = await startAttestationService({ trustAnchorFile, collateralFile, simulator: true, program })
    try {
      expect(running.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
      expect(running.said()).toContain('double')
      const ask = () => fetch(`${running.url}/v1/attestation`, { method: 'POST', body: JSON.stringify(sound()) })
      await verifier(running.url).accept(await (await ask()).text(), { reportData })
      await running.misbehave('rate-limited', 1)
      expect((await ask()).headers.get('retry-after')).toBe('7')
      expect((await ask()).status).toBe(200)
    } finally {
      await running.stop()
    }
    await expect(fetch(running.url)).rejects.toThrow()
  })

  it('does not start without its files', async () => {
    const program = join(dirname(await builtProgram()), '../../mocks/attestation-service/main.js')
    const files = { trustAnchorFile: join(folder, 'absent'), collateralFile: join(folder, 'absent') }
    await expect(startAttestationService({ ...files, simulator: true, program })).rejects.toThrow(/did not start/)
  })
})
