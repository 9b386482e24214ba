import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { equalBytes } from '../../src/base/bytes.ts'
import { newRsaKey } from '../../src/base/generated-keys.ts'
import type { JsonObject } from '../../src/base/json.ts'
import type { TdxEvidence } from '../../src/evidence/tdx/evidence.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { createAlibabaIssuer } from '../../src/issuer/alibaba-issuer.ts'
import { requireIssuerUrl } from '../../src/issuer/issuer-url.ts'
import { importSigningKey, type SigningKey } from '../../src/issuer/signing-key.ts'
import type { LifetimeBound } from '../../src/issuer/token-lifetime.ts'
import type { Appraisal } from '../../src/results/appraisal.ts'
import { signDishonest } from './dishonest-token.ts'
import { isMisbehaviour, type Misbehaviour, wireActs } from './misbehaviour.ts'
import { encodeServiceProblem, ServiceProblem } from './problem.ts'
import { readServiceRequest, requireMedia, type ServiceRequest } from './service-request.ts'

/** The verdict on evidence; `judgeQuotes` makes the real one. */
export interface JudgedEvidence {
  readonly appraisal: Appraisal
  readonly simulated: boolean
  readonly bounds: readonly LifetimeBound[]
}

export type EvidenceJudge = (evidence: TdxEvidence, reportData: Uint8Array | 'any', now: number) => JudgedEvidence

export interface ServiceOptions {
  readonly judge: EvidenceJudge
  /** Milliseconds since the epoch; default the clock of this process. */
  readonly now?: () => number
  /** Default 0: any free port of loopback. */
  readonly port?: number
  /** Ids besides `default`; each of them permits everything. */
  readonly policies?: readonly string[]
  readonly lifetimeS?: number
}

export interface AttestationServiceDouble {
  /** Base URL and issuer: `http://127.0.0.1:port`. */
  readonly url: string
  /** What the next `times` requests meet in place of an honest answer; null: nothing. */
  misbehave(kind: Misbehaviour | null, times?: number): void
  /** Requests for attestation so far. */
  readonly requests: number
  /** Bodies of the requests for attestation so far, the oldest first, at most 64. */
  readonly received: readonly Uint8Array[]
  /** Headers of the same requests. */
  readonly heads: readonly IncomingMessage['headers'][]
  /** Connections that are open now. */
  connections(): Promise<number>
  close(): Promise<void>
}

const maxBody = 4 * 1024 * 1024
const paths = ['/v1/attestation', '/attestation', '/api/attestation-service/attestation']

function newKey(kid?: string): SigningKey {
  return importSigningKey(newRsaKey(), 'RS256', kid)
}

/** The eight members of the hosted service, sorted. */
function discoveryOf(issuer: string): JsonObject {
  return {
    authorization_endpoint: `${issuer}/authorize`,
    id_token_signing_alg_values_supported: ['RS256'],
    issuer,
    jwks_uri: `${issuer}/jwks.json`,
    response_types_supported: ['code', 'code id_token', 'id_token', 'token id_token'],
    subject_types_supported: ['public'],
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBody)
      throw new ServiceProblem(413, 'AS.REQUEST.TOO_LARGE', `the body is longer than ${maxBody} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/** SVC-25, before any signature is looked at (SVC-44). Gives the 64 bytes that the quote must cover. */
function requireBinding({ evidence, raw }: ServiceRequest): Uint8Array | 'any' {
  if (raw === null) return 'any'
  const expected = new Uint8Array(64)
  expected.set(raw)
  let quoted: Uint8Array
  try {
    quoted = reportDataOf(parseQuote(evidence.quote))
  } catch {
    throw new ServiceProblem(422, 'AS.EVIDENCE.INVALID_QUOTE', 'the quote does not parse', { field: 'evidence.quote' })
  }
  if (equalBytes(quoted, expected)) return expected
  throw new ServiceProblem(422, 'AS.EVIDENCE.BINDING_MISMATCH', 'REPORTDATA is not runtime_data.raw', {
    field: 'evidence.quote',
  })
}

class Double implements AttestationServiceDouble {
  readonly url: string
  requests = 0
  readonly received: Uint8Array[] = []
  readonly heads: IncomingMessage['headers'][] = []
  readonly #server: Server
  readonly #options: ServiceOptions
  readonly #key = newKey()
  readonly #foreignKey = newKey(this.#key.kid)
  readonly #policies: ReadonlySet<string>
  readonly #now: () => number
  #misbehaviour: Misbehaviour | null = null
  #left = 0
  #kept: string | undefined

  constructor(server: Server, options: ServiceOptions) {
    this.#server = server
    this.#options = options
    this.#now = options.now ?? (() => Date.now())
    this.#policies = new Set(['default', ...(options.policies ?? [])])
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch((error: unknown) => refuse(response, error))
    })
  }

  misbehave(kind: Misbehaviour | null, times = Number.POSITIVE_INFINITY): void {
    this.#misbehaviour = kind
    this.#left = kind === null ? 0 : times
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    )
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0] ?? ''
    if (path === '/double/misbehave') return this.#take(request, response)
    if (path === '/.well-known/openid-configuration') return sendJson(response, discoveryOf(this.url))
    if (path === '/jwks.json') return sendJson(response, { keys: [{ ...this.#key.publicJwk }] })
    if (!paths.includes(path)) throw new ServiceProblem(404, 'AS.REQUEST.NOT_FOUND', 'nothing is served here')
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST')
      throw new ServiceProblem(405, 'AS.REQUEST.METHOD_NOT_ALLOWED', 'use POST')
    }
    await this.#attest(request, response)
  }

  /** The switch of the process: `POST /double/misbehave` with `{"kind": …, "times": …}`. */
  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { kind = null, times } = JSON.parse(Buffer.from(await readBody(request)).toString())
    if (kind !== null && !isMisbehaviour(kind)) throw new ServiceProblem(400, 'AS.REQUEST.INVALID_ARGUMENT', 'kind')
    this.misbehave(kind, times ?? Number.POSITIVE_INFINITY)
    response.writeHead(204).end()
  }

  #nextMisbehaviour(): Misbehaviour | null {
    if (this.#left <= 0) return null
    this.#left--
    return this.#misbehaviour
  }

  async #attest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.origin !== undefined) {
      throw new ServiceProblem(400, 'AS.REQUEST.INVALID_ARGUMENT', 'requests of web pages are refused')
    }
    requireMedia(request.headers['content-type'])
    const body = await readBody(request)
    this.#note(request, body)
    const kind = this.#nextMisbehaviour()
    const act = kind === null ? undefined : wireActs[kind]
    if (act !== undefined) return act({ request, response, body })
    const token = await this.#tokenFor(readServiceRequest(body, this.#policies), kind)
    response.writeHead(200, { 'content-type': 'application/jwt', 'cache-control': 'no-store' }).end(token)
  }

  #note(request: IncomingMessage, body: Uint8Array): void {
    this.requests++
    this.received.push(body)
    this.heads.push(request.headers)
    if (this.received.length > 64) {
      this.received.shift()
      this.heads.shift()
    }
  }

  async #tokenFor(request: ServiceRequest, kind: Misbehaviour | null): Promise<string> {
    if (kind === 'kept-answer' && this.#kept !== undefined) return this.#kept
    const reportData = requireBinding(request)
    const { appraisal, simulated, bounds } = this.#options.judge(request.evidence, reportData, this.#now())
    requireAffirmed(appraisal)
    const now = Math.floor(this.#now() / 1000)
    const [key, foreignKey, tdx] = [this.#key, this.#foreignKey, appraisal.claims['tdx'] as JsonObject]
    const lie = kind === null ? undefined : await signDishonest(kind, { issuer: this.url, key, foreignKey, tdx, now })
    if (lie !== undefined) return lie
    const ids = request.policyIds.length === 0 ? ['default'] : request.policyIds
    const policies = ids.map((id) => ({ id, hash: null }))
    const made = await this.#issuer().issueToken({
      tee: 'tdx',
      appraisal,
      appraisedAtS: now,
      simulated,
      policies,
      bounds,
    })
    this.#kept = made.token
    return made.token
  }

  #issuer() {
    const keys = { signingKey: () => this.#key, isPublished: () => true }
    const issuer = requireIssuerUrl(this.url, { allowLoopbackHttp: true })
    const random = (size: number) => new Uint8Array(randomBytes(size))
    const { lifetimeS } = this.#options
    const lifetime = lifetimeS === undefined ? {} : { lifetimeS }
    return createAlibabaIssuer({ issuer, keys, clock: { now: this.#now }, random, ...lifetime })
  }
}

function requireAffirmed({ affirmed, findings }: Appraisal): void {
  if (affirmed) return
  const failed = findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
  throw new ServiceProblem(422, 'AS.EVIDENCE.VERIFICATION_FAILED', 'the evidence was not affirmed', {
    field: 'evidence.quote',
    findings: failed.map(({ id, outcome }) => ({ id, outcome })),
  })
}

function sendJson(response: ServerResponse, document: JsonObject): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=3600' })
  response.end(JSON.stringify(document))
}

function refuse(response: ServerResponse, error: unknown): void {
  const known = error instanceof ServiceProblem
  const problem = known ? error : new ServiceProblem(500, 'AS.INTERNAL.ERROR', 'a fault of the double')
  if (!known) process.stderr.write(`attestation service double: ${String(error)}\n`)
  if (response.headersSent) return void response.destroy()
  // What was not read of the request must not be taken for the next one.
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', connection: 'close' }
  response.writeHead(problem.status, headers).end(encodeServiceProblem(problem))
}

/**
 * Starts a double of Alibaba's attestation service on loopback: the protocol, the binding, a real appraisal by `judge`,
 * tokens of profile `alibaba`; and every misbehaviour on demand. Its keys are made at the start and protect nothing.
 */
export async function openAttestationService(options: ServiceOptions): Promise<AttestationServiceDouble> {
  const server = createServer()
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return new Double(server, options)
}
