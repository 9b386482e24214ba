import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import type { CallerIdentity } from '../../src/policies/caller-identity.ts'
import { type CallerRuleOptions, parseCallerRules } from '../../src/policies/caller-rules.ts'
import type { EntryDescription, ServedToken } from '../../src/results/served-token.ts'
import type { TokenDemand, TokenRequest } from '../../src/results/token-request.ts'
import type { CallerHandle, CallerIdentifier, CallerState } from '../../src/workload-api/caller-identifier.ts'
import type { TokenProvider } from '../../src/workload-api/token-provider.ts'
import type { WorkloadEvent, WorkloadLog } from '../../src/workload-api/workload-log.ts'
import {
  type AdminListenerOptions,
  type ApiListenerOptions,
  createWorkloadServer,
  type WorkloadServerOptions,
} from '../../src/workload-api/workload-server.ts'
import { FakeClock } from './fake-clock.ts'

export const someone: CallerIdentity = {
  identity: 'pidfd',
  pid: 4711,
  uid: 1001,
  gid: 1001,
  groups: [],
  unit: 'payments.service',
  slice: 'system.slice',
  container: null,
  listener: 'api',
}

/** Says who calls as the test wants; connections can be told that their process has ended. */
export class FakeIdentifier implements CallerIdentifier {
  next: () => Promise<CallerIdentity> = () => Promise.resolve(someone)
  uid: ((socket: Socket) => number | null) | null = () => someone.uid
  state: CallerState = 'there'
  check: CallerHandle['check'] | null = null
  identified = 0
  checks = 0
  open = 0

  async identify(): Promise<CallerHandle> {
    this.identified++
    const caller = await this.next()
    this.open++
    return {
      caller,
      check: () => {
        this.checks++
        return this.check ? this.check() : this.state
      },
      close: () => {
        this.open--
      },
    }
  }

  get peerUid(): (socket: Socket) => number | null {
    return (socket) => this.uid?.(socket) ?? null
  }
}

/** Issues tokens that name their audience, at once or when the test lets it. */
export class FakeProvider implements TokenProvider {
  readonly asked: { request: TokenRequest; demand: TokenDemand; signal: AbortSignal }[] = []
  described = 0
  lifeS = 900
  /** What is at hand without waiting; by default nothing is. */
  atHand: ((request: TokenRequest) => Partial<ServedToken> | null) | null = null
  answer: ((request: TokenRequest, signal: AbortSignal) => Promise<Partial<ServedToken>>) | null = null
  #clock: Pick<Clock, 'now'>

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  takeAtHand(request: TokenRequest): ServedToken | null {
    const parts = this.atHand?.(request) ?? null
    return parts === null ? null : { ...this.tokenFor(request), ...parts }
  }

  async obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken> {
    this.asked.push({ request, demand, signal })
    const parts = (await this.answer?.(request, signal)) ?? {}
    return { ...this.tokenFor(request), ...parts }
  }

  tokenFor(request: TokenRequest): ServedToken {
    const issuedAt = Math.floor(this.#clock.now() / 1000)
    const payload = Buffer.from(JSON.stringify({ aud: request.audience, nonces: request.nonces })).toString('base64url')
    return {
      token: `eyJhbGciOiJFUzI1NiJ9.${payload}.c2lnbmF0dXJl`,
      issuer: 'https://issuer.example',
      audience: request.audience,
      issuedAt,
      expiresAt: issuedAt + this.lifeS,
      refreshAt: issuedAt + Math.floor(this.lifeS / 2),
      jti: 'jti-1',
      source: 'cache',
      generation: 7,
    }
  }

  describe(): EntryDescription {
    this.described++
    const now = Math.floor(this.#clock.now() / 1000)
    return { state: 'fresh', expiresAt: now + 900, refreshAt: now + 450, generation: 7, lastError: null }
  }
}

export const openRules = [
  {
    id: 'payments',
    match: { uid: 1001 },
    allow: {
      methods: ['token', 'evidence', 'raw_report_data', 'jwks', 'explain'],
      audiences: ['https://a.example', 'https://c.example', { prefix: 'urn:x:' }],
      issuers: ['local', 'remote', 'fixed'],
      nonce: 'allow',
      fresh: true,
    },
  },
  { id: 'other', match: { uid: 1002 }, allow: { methods: ['token', 'explain'], audiences: ['https://b.example'] } },
]

export class LogLines implements WorkloadLog {
  readonly lines: string[] = []
  debug = (facts: object, message: string) => void this.lines.push(`debug ${message} ${JSON.stringify(facts)}`)
  info = (facts: object, message: string) => void this.lines.push(`info ${message} ${JSON.stringify(facts)}`)
  warn = (facts: object, message: string) => void this.lines.push(`warn ${message} ${JSON.stringify(facts)}`)
  error = (facts: object, message: string) => void this.lines.push(`error ${message} ${JSON.stringify(facts)}`)
}

const issuer = { usualLifetimeS: 900, fixedAudience: null, policyIds: ['default'] }

export const tokenSettings = {
  issuers: [
    { ...issuer, name: 'local' },
    { ...issuer, name: 'remote', usualLifetimeS: 3600 },
    { ...issuer, name: 'fixed', fixedAudience: 'urn:x:fixed' },
  ],
  defaultIssuer: 'local',
  defaultAudiences: ['https://a.example'],
}

export function policyFrom(rules: readonly object[], options: CallerRuleOptions = {}) {
  const policy = parseCallerRules(rules, options)
  return () => policy
}

/** Binds a server to a fresh socket path; both go when the test ends. */
export async function listenOn(options: WorkloadServerOptions): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-api-'))
  const path = join(folder, 'api.sock')
  const { server, close } = await createWorkloadServer(options)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await close()
    rmSync(folder, { recursive: true })
  })
  return path
}

type ApiParts = Partial<Omit<ApiListenerOptions, 'listener' | 'provider' | 'identifier' | 'clock'>>

/** A workload listener with fakes behind every port. */
export async function openRoom(parts: ApiParts & { clock?: Clock } = {}) {
  const clock = parts.clock ?? new FakeClock()
  const identifier = new FakeIdentifier()
  const provider = new FakeProvider(clock)
  const log = new LogLines()
  const events: WorkloadEvent[] = []
  const path = await listenOn({
    listener: 'api',
    policy: policyFrom(openRules),
    tokens: () => tokenSettings,
    jwks: async () => ({ keys: [{ kty: 'EC', kid: 'k1' }] }),
    readiness: () => ({ ready: true, reasons: [] }),
    random: (size) => new Uint8Array(randomBytes(size)),
    log,
    observe: (event) => events.push(event),
    ...parts,
    clock,
    identifier,
    provider,
  })
  return { path, clock, identifier, provider, log, events }
}

export async function openAdminRoom(
  parts: Omit<AdminListenerOptions, 'listener' | 'clock' | 'random' | 'log' | 'readiness'>,
) {
  return listenOn({
    listener: 'admin',
    clock: new FakeClock(),
    random: (size) => new Uint8Array(randomBytes(size)),
    log: new LogLines(),
    readiness: () => ({ ready: false, reasons: ['sink:3:expired'] }),
    ...parts,
  })
}

/** A request as text of one byte a character; `headers` are written as they are. */
export function request(method: string, target: string, headers: readonly string[] = [], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${body.length}`]
  return `${method} ${target} HTTP/1.1\r\n${[...headers, ...length].map((line) => `${line}\r\n`).join('')}\r\n${body}`
}

export function post(target: string, body: unknown, headers: readonly string[] = []): string {
  const text = typeof body === 'string' ? body : Buffer.from(JSON.stringify(body)).toString('latin1')
  return request('POST', target, headers, text)
}
