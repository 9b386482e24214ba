import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { parseJsonObject } from '../../src/base/json.ts'
import { parseAnswers, RawClient, rawRequest } from '../../test/support/raw-http.ts'
import { openRoom, post, request } from '../../test/support/workload-room.ts'
import { chooseMedia } from './accept.ts'
import { parseEvidenceParameters } from './evidence-parameters.ts'
import { parseQuery } from './query.ts'
import { parseTokenParameters, tokenQueryForms } from './token-parameters.ts'

const chunked =
  'POST /v1/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n{"audience":"urn:x:chunked\r\n2\r\n"}\r\n0\r\n\r\n'
const seeds = [
  request('GET', '/livez'),
  request('GET', '/v1/token?audience=urn:x:1&min_valid_s=5&fresh=false', ['Accept: application/json']),
  request('GET', '/v1/explain?audience=https%3A%2F%2Fa.example&nonce=1'),
  request('HEAD', '/v1/token'),
  post('/v1/token', { audience: ['https://a.example', 'urn:x:1'], nonces: ['nonce-0001'], ttl_s: 60, timeout_ms: 50 }),
  post('/v1/token', { audience: 'https://b.example' }, ['Content-Type: application/json']),
  post('/v1/token', { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } } }),
  post('/v1/evidence', { challenge: 'AAAAAAAAAAA', profile: 'raw', devices: ['tpm'] }),
  post('/v1/token', { audience: 'urn:x:1' }, ['Content-Type: text/plain']),
  request('PUT', '/v1/jwks'),
  chunked,
]
const words = [
  '\r\n', '\n', '\r', '\0', ' ', '\t', ':', '?', '&', '%', '%00', '%2F', '"', '{', '}', '[', ']', '\\u0000', '\\ud800',
  'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'GET', 'POST', 'CONNECT', 'OPTIONS', 'Content-Length: 5\r\n', 'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', 'Connection: close\r\n', 'Origin: x\r\n', 'Host: a\r\n',
  'Upgrade: h2c\r\n', '/v1/token', '/v1/admin/status', '//', '/../', '__proto__', 'constructor', '1e9', '-1', '99999999999999999999',
  'https://b.example', '\xff\xfe', '\xc3\x28', 'A'.repeat(300),
] // biome-ignore format: a dictionary

/** A small generator with a seed, so that a failing run can be repeated. */
function drawing(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function mutated(draw: (below: number) => number): string {
  let text = seeds[draw(seeds.length)] ?? ''
  for (let rounds = 1 + draw(4); rounds > 0; rounds--) {
    const [at, length] = [draw(text.length + 1), draw(12)]
    const inserts = [
      String.fromCharCode(draw(256)),
      words[draw(words.length)] ?? '',
      text.slice(at, at + draw(60)),
      seeds[draw(seeds.length)] ?? '',
      '',
    ]
    const insert = inserts[draw(inserts.length)] ?? ''
    text = text.slice(0, at) + insert + text.slice(draw(2) === 0 ? at : at + length)
  }
  return text
}

const allowed = (audience: string) => /^(?:https:\/\/[ac]\.example$|urn:x:)/.test(audience)

describe('requests of any form', () => {
  it('20 000 mutated requests: whole answers or none, no crash, no hang, no foreign audience', async () => {
    const seed = 20_260_101
    const draw = drawing(seed)
    const { path, provider, identifier, log } = await openRoom({
      collectEvidence: async () => '{}',
      limits: {
        connectionsPerUid: 256,
        acceptsPerS: 1e9,
        acceptBurst: 1e9,
        requestBurst: 1e9,
        expensiveBurst: 1e9,
      },
    })
    const statuses = new Map<number, number>()
    const one = async (text: string) => {
      const client = new RawClient(path).write(text).half()
      await client.closed
      for (const { status, headers, body } of answersTo(client.received)) {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        expect(headers['attestd-request-id']).toMatch(/^[a-z2-7]{26}$/)
        if (status >= 400 && body !== '') expect(JSON.parse(body).status).toBe(status)
      }
    }
    const worker = async () => {
      for (let sent = 0; sent < 2500; sent++) {
        const text = mutated(draw)
        await one(text).catch((cause) => {
          throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause })
        })
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    for (const { request: asked } of provider.asked) expect(asked.audience.every(allowed)).toBe(true)
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(200)
    expect(log.lines.filter((line) => line.startsWith('error'))).toEqual([])
    expect(statuses.get(500)).toBeUndefined()
    for (const status of [200, 400, 403, 404, 405, 415])
      expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(5)
    while (identifier.open > 1) await new Promise((resolve) => setImmediate(resolve))
  }, 120_000)
})

/** Answers to HEAD have a length and no body, and a mutated text can hold any number of them. */
function answersTo(received: string) {
  try {
    return parseAnswers(received)
  } catch (error) {
    const parts = received.split(/(?=HTTP\/1\.1 \d{3} [A-Z])/).filter((part) => part !== '')
    if (parts.length === 0) throw error
    return parts.flatMap((part) => {
      try {
        return parseAnswers(part)
      } catch {
        return parseAnswers(part, true)
      }
    })
  }
}

const isProblem = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(AttestdError)
    expect((error as AttestdError).status).toBe(400)
  }
}

describe('members of any form', () => {
  const anyMembers = fc.dictionary(
    fc.constantFrom(
      ...Object.keys(tokenQueryForms),
      'nonces',
      'cnf',
      'challenge',
      'profile',
      'devices',
      'verifier',
      '__proto__',
    ),
    fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(0, 60, 'OIDC', 'raw', true, 'nonce-0001', ['nonce-0001'], ['tpm'], { jwk: { kty: 'EC' } }),
    ),
  )

  it('are parameters or a 400', () => {
    fc.assert(
      fc.property(anyMembers, (members) => {
        const text = JSON.stringify(members)
        isProblem(() => parseTokenParameters(parseJsonObject(text, 'body')))
        isProblem(() => parseEvidenceParameters(parseJsonObject(text, 'body')))
      }),
      { numRuns: 5000 },
    )
  })

  it('are read from any query or refused with a 400', () => {
    const piece = fc.oneof(
      fc.constantFrom('audience=', 'fresh=', 'ttl_s=', '&', '=', '%', '+', '%41', 'true', '60', '%C3%A9', '\xff', ' '),
      fc.string({ maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        isProblem(() => parseTokenParameters(parseQuery(pieces.join(''), tokenQueryForms)))
      }),
      { numRuns: 5000 },
    )
  })

  it('a query reads as URLSearchParams reads it, wherever it is accepted', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { minLength: 1, maxLength: 4 }),
        (audiences) => {
          const query = new URLSearchParams(
            audiences.map((audience): [string, string] => ['audience', audience]),
          ).toString()
          expect(parseQuery(query, tokenQueryForms)['audience']).toEqual(audiences)
        },
      ),
    )
  })

  it('any Accept is chosen from or refused', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', ', application/json', ';q=0.3,*/*;q=0.1'), (start, end) => {
        expect([null, 'application/jwt', 'text/plain; charset=us-ascii', 'application/json']).toContain(
          chooseMedia(start + end),
        )
      }),
    )
  })
})
