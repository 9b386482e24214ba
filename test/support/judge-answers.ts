import type { RawAnswer } from './raw-http.ts'

/** What every answer of the workload API is, whatever was asked (section 2 and 7), and what no request may be granted. */

const statuses = new Set([
  200, 400, 401, 403, 404, 405, 406, 408, 409, 413, 414, 415, 421, 429, 431, 501, 502, 503, 504,
])
const statusLine = /^HTTP\/1\.1 (\d{3}) [A-Z][A-Za-z ]*$/
const fieldLine = /^([A-Za-z-]+): ([\x20-\x7e]*)$/
const forbiddenFields = ['server', 'x-powered-by', 'transfer-encoding', 'upgrade', 'location', 'set-cookie']

/** An answer, and whether it came without the body that it announces, as one to `HEAD` does. */
export interface JudgedAnswer extends RawAnswer {
  readonly bodiless: boolean
}

function parseHead(head: string): Pick<RawAnswer, 'status' | 'headers'> {
  const [line = '', ...fields] = head.split('\r\n')
  const status = statusLine.exec(line)?.[1]
  if (status === undefined) throw new Error(`not a status line: ${JSON.stringify(line)}`)
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const [, name, value = ''] = fieldLine.exec(field) ?? []
    if (name === undefined) throw new Error(`not a field: ${JSON.stringify(field)}`)
    if (headers[name.toLowerCase()] !== undefined) throw new Error(`${name} is there twice`)
    headers[name.toLowerCase()] = value
  }
  return { status: Number(status), headers }
}

/** `HEAD` starts no work (API-33), so nobody knows how long the token would be. */
const describesToken = ({ status, headers }: Pick<RawAnswer, 'status' | 'headers'>) =>
  status === 200 && /^(?:application\/jwt|application\/json|text\/plain)/.test(headers['content-type'] ?? '')

/** All that a server sent on one connection, one character a byte: whole answers and nothing else, or it throws. */
export function readAnswers(text: string): JudgedAnswer[] {
  const answers: JudgedAnswer[] = []
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`not a whole head: ${JSON.stringify(rest)}`)
    const head = rest.slice(0, end)
    rest = rest.slice(end + 4)
    if (head === 'HTTP/1.1 100 Continue') continue
    const parsed = parseHead(head)
    const length = parsed.headers['content-length'] ?? (describesToken(parsed) ? '1' : '')
    if (!/^\d+$/.test(length)) throw new Error(`no length (API-31): ${JSON.stringify(head)}`)
    const bodiless = Number(length) > 0 && (rest === '' || rest.startsWith('HTTP/1.1 '))
    if (parsed.headers['content-length'] === undefined && !bodiless) throw new Error('a body without a length (API-31)')
    const size = bodiless ? 0 : Number(length)
    if (rest.length < size) throw new Error(`half a body: ${JSON.stringify(rest)}`)
    answers.push({ ...parsed, bodiless, body: Buffer.from(rest.slice(0, size), 'latin1').toString() })
    rest = rest.slice(size)
  }
  return answers
}

function requireProblem({ status, headers, body }: JudgedAnswer): void {
  if (headers['content-type'] !== 'application/problem+json') throw new Error(`${status} is not a problem (API-28)`)
  if (body === '') return
  const problem = JSON.parse(body)
  const { code, request_id: id, detail } = problem
  if (problem.status !== status || problem.type !== `urn:attestd:problem:${code}`) throw new Error(`not of ${status}`)
  if (id !== headers['attestd-request-id']) throw new Error('the problem has another request id')
  if (typeof detail === 'string' && (detail.length > 500 || /[\p{Cc}]/u.test(detail))) throw new Error('detail')
  if (status === 405 && !headers['allow']) throw new Error('405 without Allow (API-33)')
}

/** Throws unless the answer has the form that all answers have (API-31). */
export function requireForm(answer: JudgedAnswer): void {
  const { status, headers } = answer
  if (!statuses.has(status)) throw new Error(`status ${status}`)
  if (headers['cache-control'] !== 'no-store') throw new Error('may be stored (API-31)')
  if (headers['x-content-type-options'] !== 'nosniff') throw new Error('may be sniffed (API-31)')
  if (!/^[a-z2-7]{26}$/.test(headers['attestd-request-id'] ?? '')) throw new Error('no request id (API-31)')
  const found = forbiddenFields.find((name) => headers[name] !== undefined)
  if (found !== undefined) throw new Error(`has ${found} (API-31)`)
  if (Object.keys(headers).some((name) => name.startsWith('access-control-'))) throw new Error('CORS (API-30)')
  if (status >= 400) requireProblem(answer)
  else if (
    headers['content-type'] === 'application/jwt' &&
    !answer.bodiless &&
    !(Number(headers['attestd-expires-at']) > 0)
  )
    throw new Error('a token without its end (API-31)')
}

const routes = new Set(['/livez', '/readyz', '/v1/token', '/v1/evidence', '/v1/jwks', '/v1/explain', '/v1/measure'])
const relays = /^(?:origin|sec-fetch-site|referer|x-forwarded-for|x-forwarded-host|forwarded|via)$/i
const queryNames = ['audience', 'token_type', 'issuer', 'min_valid_s', 'fresh', 'ttl_s', 'timeout_ms']

function fieldsOf(lines: readonly string[]): [name: string, value: string][] {
  return lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
}

function faultOfQuery(path: string, query: string): string | null {
  if (path !== '/v1/token') return null
  const names = query
    .split('&')
    .filter(Boolean)
    .map((pair) => pair.split('=')[0]?.replaceAll('+', ' ') ?? '')
  const plain = names.filter((name) => !name.includes('%'))
  if (plain.some((name) => !queryNames.includes(name))) return 'API-26: unknown name'
  if (/%(?![0-9A-Fa-f]{2})/.test(query)) return 'API-26: invalid percent-encoding'
  const repeated = plain.find((name, at) => name !== 'audience' && plain.indexOf(name) !== at)
  return repeated === undefined ? null : `API-26: ${repeated} twice`
}

const namesIn = (value: unknown): number =>
  typeof value !== 'object' || value === null
    ? 0
    : Object.values(value).reduce<number>(
        (sum, one) => sum + namesIn(one),
        Array.isArray(value) ? 0 : Object.keys(value).length,
      )

function faultOfBody(body: string): string | null {
  try {
    const value = JSON.parse(Buffer.from(body, 'latin1').toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'API-27: not an object'
    const written = body.match(/"[^"\\]*"[ \t\r\n]*:/g)?.length ?? 0
    return !body.includes('\\') && written > namesIn(value) ? 'API-27: a member twice' : null
  } catch {
    return 'API-27: not JSON'
  }
}

/**
 * Why the first request of `text` must not be answered with 2xx; null where nothing speaks against it. Written from the
 * rules, not from the server: it looks at the bytes.
 */
export function faultOfFirst(text: string): string | null {
  // Node's parser leaves out line ends of any kind before a request (RFC 9112, section 2.2, has it leave out CRLF).
  const start = text.replace(/^[\r\n]+/, '')
  const end = start.indexOf('\r\n\r\n')
  if (end < 0) return 'API-28: no end of the head'
  const [line = '', ...lines] = start.slice(0, end).split('\r\n')
  if (/[\r\n\0]/.test(lines.join('') + line)) return 'API-28: bare CR, LF or NUL'
  // Node's parser takes several spaces around the target for one (RFC 9112, section 3).
  const [, method = '', target = ''] = /^([A-Z]+) +(\S+) +HTTP\/1\.[01]$/.exec(line) ?? []
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  if (!routes.has(path)) return `API-25: ${path} is no route`
  const fields = fieldsOf(lines)
  if (fields.some(([name]) => relays.test(name))) return 'API-30: relayed'
  const valuesOf = (wanted: string) => fields.filter(([name]) => name === wanted).map(([, value]) => value)
  const [lengths, encodings] = [valuesOf('content-length'), valuesOf('transfer-encoding')]
  if (lengths.length > 1 || (lengths.length > 0 && encodings.length > 0)) return 'API-28: two lengths'
  const hasBody = encodings.length > 0 || Number(lengths[0] ?? 0) > 0
  if (method !== 'POST') return hasBody ? 'API-27: a body' : faultOfQuery(path, at < 0 ? '' : target.slice(at + 1))
  if (valuesOf('content-type').some((type) => !/^application\/json *(?:;|$)/i.test(type))) return 'API-27: not JSON'
  if (encodings.length > 0) return null
  return faultOfBody(start.slice(end + 4, end + 4 + Number(lengths[0] ?? 0)))
}
