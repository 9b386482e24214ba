import { post, request } from './workload-room.ts'

/** Requests as somebody sends them who looks for a crash: mutated, random, cut off, one behind the other. */

/** Gives an integer from 0 to below `below`. */
export type Draw = (below: number) => number

/** A small generator with a seed, so that a failing run can be repeated. */
export function drawing(seed: number): Draw {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

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
  request('GET', '/v1/token?audience=urn:x:2', ['Origin: https://a.example']),
  chunked,
]
const words = [
  '\r\n', '\n', '\r', '\0', ' ', '\t', ':', '?', '&', '%', '%00', '%2F', '"', '{', '}', '[', ']', '\\u0000', '\\ud800',
  'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'GET', 'POST', 'CONNECT', 'OPTIONS', 'Content-Length: 5\r\n', 'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', 'Connection: close\r\n', 'Origin: x\r\n', 'Host: a\r\n',
  'Via: 1.1 a\r\n', 'Forwarded: for=a\r\n', 'Referer: a\r\n', 'Sec-Fetch-Site: none\r\n', 'X-Forwarded-For: ::1\r\n',
  'Upgrade: h2c\r\n', '/v1/token', '/v1/admin/status', '//', '/../', '__proto__', 'constructor', '1e9', '-1', '99999999999999999999',
  'https://b.example', '\xff\xfe', '\xc3\x28', 'A'.repeat(300), 'A'.repeat(5000), 'A'.repeat(9000), '0\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
] // biome-ignore format: a dictionary

function mutated(draw: Draw): string {
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

const noise = (draw: Draw) => String.fromCharCode(...Array.from({ length: 1 + draw(80) }, () => draw(256)))

/** What one connection brings, one character a byte, and how. */
export interface HostileConnection {
  readonly requests: readonly string[]
  /**
   * `half`: all at once, then the sending side is closed. `pieces`: byte by byte in part, then closed. `gone`: the
   * connection is torn down without a look at the answer. `open`: the client never closes. `deaf`: nor does it read.
   */
  readonly manner: 'half' | 'pieces' | 'gone' | 'open' | 'deaf'
}

/** Requests that need no patience of the server: their connections end by themselves. */
export function hastyConnection(draw: Draw): HostileConnection {
  const manner = (['half', 'half', 'half', 'half', 'half', 'half', 'pieces', 'gone'] as const)[draw(8)] ?? 'half'
  const kind = draw(10)
  if (kind === 0) return { manner, requests: [noise(draw)] }
  if (kind < 4) return { manner, requests: [mutated(draw)] }
  const whole = Array.from({ length: 1 + draw(10) }, () => seeds[draw(seeds.length)] ?? '')
  return { manner, requests: [...whole, draw(6) === 0 ? noise(draw) : mutated(draw)] }
}

/** Requests that are cut off or answered for nobody, on connections that only the limits of the server end. */
export function slowConnection(draw: Draw): HostileConnection {
  const text = draw(3) === 0 ? noise(draw) : mutated(draw)
  return { manner: draw(2) === 0 ? 'open' : 'deaf', requests: [text.slice(0, draw(text.length + 1))] }
}
