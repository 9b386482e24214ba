import type { IncomingMessage, ServerResponse } from 'node:http'

/** What the double does wrong on demand, in place of an honest answer. */
export const misbehaviours = [
  'another-td',
  'another-report-data',
  'kept-answer',
  'other-audience',
  'second-audience',
  'other-issuer',
  'other-key',
  'debug-td',
  'of-tomorrow',
  'of-yesterday',
  'expired',
  'simulated',
  'no-echo',
  'unknown-member',
  'captive-portal',
  'envelope',
  'empty',
  'two-newlines',
  'oversize-token',
  'oversize',
  'redirect',
  'rate-limited',
  'unavailable',
  'plain-fault',
  'internal-error',
  'verdict',
  'policy-denied',
  'encoding-refused',
  'not-found',
  'echo',
  'hang',
  'drip',
  'reset',
  'truncated',
] as const
export type Misbehaviour = (typeof misbehaviours)[number]

export function isMisbehaviour(name: unknown): name is Misbehaviour {
  return misbehaviours.some((known) => known === name)
}

interface Wire {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Uint8Array
}

type Act = (wire: Wire) => void

const send =
  (status: number, type: string, body: string, headers: Readonly<Record<string, string>> = {}): Act =>
  ({ response }) => {
    response.writeHead(status, { 'content-type': type, ...headers }).end(body)
  }

const problem = (status: number, code: string, retryable: boolean, headers = {}): Act =>
  send(
    status,
    'application/problem+json',
    JSON.stringify({ type: 'about:blank', title: code, status, code, detail: 'on demand', retryable }),
    headers,
  )

const portal = '<!doctype html><html><head><title>Welcome to the guest network</title></head><body></body></html>'

function drip({ response }: Wire): void {
  response.writeHead(200, { 'content-type': 'application/jwt' })
  const timer = setInterval(() => response.write('a'), 20)
  response.once('close', () => clearInterval(timer))
}

function oversize({ response }: Wire): void {
  response.writeHead(200, { 'content-type': 'application/jwt' })
  response.end('a'.repeat(1_048_577))
}

function truncated({ response }: Wire): void {
  response.writeHead(200, { 'content-type': 'application/jwt', 'content-length': '4096' })
  response.write('eyJ', () => response.destroy())
}

/** Those that need nothing of an appraisal; the others change an honest token (`dishonest-token.ts`). */
export const wireActs: Readonly<Partial<Record<Misbehaviour, Act>>> = {
  'captive-portal': send(200, 'text/html', portal),
  envelope: send(200, 'application/json', '{"token":"eyJhIjoxfQ.eyJiIjoyfQ.c2lnbmF0dXJl"}'),
  empty: send(200, 'application/jwt', ''),
  'two-newlines': send(200, 'application/jwt', 'eyJhIjoxfQ.eyJiIjoyfQ.c2ln\n\n'),
  'oversize-token': send(200, 'application/jwt', `eyJhIjoxfQ.${'e'.repeat(65_536)}.c2ln`),
  oversize,
  redirect: send(307, 'text/html', '', { location: 'https://elsewhere.example/' }),
  'rate-limited': send(429, 'text/plain', '', { 'retry-after': '7' }),
  unavailable: problem(503, 'AS.DEPENDENCY.UNAVAILABLE', true, { 'retry-after': '86400' }),
  'plain-fault': send(500, 'text/plain', 'An internal error occured: missing field `tee`'),
  'internal-error': problem(500, 'AS.INTERNAL.ERROR', false),
  verdict: problem(422, 'AS.EVIDENCE.VERIFICATION_FAILED', false),
  'policy-denied': problem(403, 'AS.POLICY.DENIED', false),
  'encoding-refused': problem(400, 'AS.EVIDENCE.INVALID_ENCODING', false),
  'not-found': send(404, 'text/plain', ''),
  echo: ({ response, body }) => response.writeHead(400, { 'content-type': 'text/plain' }).end(body),
  hang: () => undefined,
  drip,
  reset: ({ request }) => request.socket.resetAndDestroy(),
  truncated,
}
