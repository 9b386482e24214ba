import type { Clock } from '../../src/base/clock.ts'
import { declareErrors } from '../../src/base/errors.ts'
import type { AcceptedToken, TokenSource } from '../../src/passport/token-source.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'

/** Errors as sources throw them, one of every kind. */
export const upstreamErrors = declareErrors({
  UPSTREAM_DOWN: { kind: 'unavailable', title: 'down', remedy: 'wait' },
  UPSTREAM_REFUSED: { kind: 'refused', title: 'refused', remedy: 'comply' },
  UPSTREAM_UNTRUSTED: { kind: 'distrusted', title: 'untrusted', remedy: 'look' },
  UPSTREAM_GARBLED: { kind: 'malformed', title: 'garbled', remedy: 'look' },
  UPSTREAM_MISSET: { kind: 'configuration', title: 'misset', remedy: 'set' },
  UPSTREAM_UNFIT: { kind: 'unsupported', title: 'unfit', remedy: 'ask for something else' },
  UPSTREAM_FORBIDDEN: { kind: 'forbidden', title: 'forbidden', remedy: 'do not' },
})

/** What the issuer does with the next requests. Milliseconds pass on the monotonic clock. */
export type Behaviour =
  | {
      readonly kind: 'issue'
      readonly afterMs?: number
      readonly lifeS?: number
      /** Seconds that `iat` is off the wall clock. */
      readonly datedS?: number
      readonly audience?: readonly string[]
      readonly acceptAfterMs?: number
      readonly kid?: string
      /** Answers even when told to stop. */
      readonly stubborn?: boolean
    }
  | { readonly kind: 'fail'; readonly error: unknown; readonly afterMs?: number }
  | { readonly kind: 'hang' }
  /** The token does not verify. */
  | { readonly kind: 'forge'; readonly error?: unknown; readonly afterMs?: number }

export interface SourceCall {
  readonly number: number
  readonly request: TokenRequest
  readonly signal: AbortSignal
  readonly wall: number
  readonly monotonic: number
  readonly boot: number
  active: boolean
  token: string | null
}

export interface IssuedToken extends AcceptedToken {
  readonly token: string
  readonly call: SourceCall
  /** `undefined`: verifies. */
  readonly refusedWith: unknown
  readonly acceptAfterMs: number
}

/** An issuer with behaviour: counts its calls, remembers its tokens, and answers as it is told to. */
export class FakeTokenSource implements TokenSource {
  readonly name: string
  readonly usualLifetimeS: number
  readonly generation: number
  readonly calls: SourceCall[] = []
  readonly issued = new Map<string, IssuedToken>()
  behaviour: Behaviour = { kind: 'issue' }
  /** Called at the start of every call, for what must hold there. */
  onCall: (call: SourceCall) => void = () => undefined
  /** Called when a call has ended for the broker. */
  onEnd: (call: SourceCall, error: unknown) => void = () => undefined
  /** Called when a token has passed verification, just before the broker hears of it. */
  onAccept: (issued: IssuedToken) => void = () => undefined
  #hanging: (() => void)[] = []
  #clock: Clock

  constructor(clock: Clock, about: { name?: string; usualLifetimeS?: number; generation?: number } = {}) {
    this.#clock = clock
    this.name = about.name ?? 'bundled'
    this.usualLifetimeS = about.usualLifetimeS ?? 900
    this.generation = about.generation ?? 1
  }

  get active(): SourceCall[] {
    return this.calls.filter(({ active }) => active)
  }

  async obtainToken(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const { behaviour } = this
    const call = this.#newCall(request, signal)
    try {
      const token = await this.#answer(behaviour, call)
      call.active = false
      this.onEnd(call, undefined)
      return token
    } catch (error) {
      call.active = false
      this.onEnd(call, error)
      throw error
    }
  }

  #newCall(request: TokenRequest, signal: AbortSignal): SourceCall {
    const clock = this.#clock
    const call: SourceCall = {
      number: this.calls.length + 1,
      request,
      signal,
      wall: clock.now(),
      monotonic: clock.monotonic(),
      boot: clock.boottime(),
      active: true,
      token: null,
    }
    this.onCall(call)
    this.calls.push(call)
    signal.addEventListener('abort', () => {
      call.active = false
    })
    return call
  }

  async #answer(behaviour: Behaviour, call: SourceCall): Promise<string> {
    if (behaviour.kind === 'hang') return await this.#untilAborted(call.signal)
    const stubborn = behaviour.kind === 'issue' && behaviour.stubborn
    if (behaviour.afterMs !== undefined) {
      await (stubborn ? this.#clock.sleep(behaviour.afterMs) : this.#clock.sleep(behaviour.afterMs, call.signal))
    }
    if (behaviour.kind === 'fail') throw behaviour.error
    return this.#issue(behaviour, call)
  }

  #untilAborted(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      this.#hanging.push(() => reject(upstreamErrors.error('UPSTREAM_DOWN', 'the connection was reset')))
    })
  }

  /** Whatever hangs fails now. */
  endHangs(): void {
    for (const end of this.#hanging.splice(0)) end()
  }

  #issue(behaviour: Extract<Behaviour, { kind: 'issue' | 'forge' }>, call: SourceCall): string {
    const token = `e30.${this.name}-${this.generation}-${call.number}.c2ln`
    const issue: Partial<Extract<Behaviour, { kind: 'issue' }>> = behaviour.kind === 'issue' ? behaviour : {}
    const issuedAt = Math.floor(this.#clock.now() / 1000) + (issue.datedS ?? 0)
    const lifeS = issue.lifeS ?? call.request.ttlS ?? this.usualLifetimeS
    const refusal =
      behaviour.kind === 'forge' ? (behaviour.error ?? upstreamErrors.error('UPSTREAM_UNTRUSTED', 'no')) : undefined
    this.issued.set(token, {
      token,
      call,
      issuer: `https://${this.name}.example`,
      audience: issue.audience ?? call.request.audience,
      issuedAt,
      expiresAt: issuedAt + lifeS,
      jti: `jti-${call.number}`,
      kid: issue.kid ?? 'k1',
      refusedWith: refusal,
      acceptAfterMs: issue.acceptAfterMs ?? 0,
    })
    call.token = token
    return token
  }

  async acceptToken(token: string, _request: TokenRequest): Promise<AcceptedToken> {
    const issued = this.issued.get(token)
    if (issued === undefined) throw new TypeError('the broker verifies a token that was never issued')
    if (issued.acceptAfterMs > 0) await this.#clock.sleep(issued.acceptAfterMs)
    if (issued.refusedWith !== undefined) throw issued.refusedWith
    const { issuer, audience, issuedAt, expiresAt, jti, kid } = issued
    this.onAccept(issued)
    return { issuer, audience, issuedAt, expiresAt, jti, kid }
  }
}

/** A token request with what a test does not care about filled in. */
export function tokenRequest(about: Partial<TokenRequest> = {}): TokenRequest {
  return {
    issuer: 'bundled',
    tokenType: 'OIDC',
    audience: ['https://rp.example'],
    nonces: [],
    ttlS: null,
    policyIds: ['default'],
    cnf: null,
    fresh: false,
    ...about,
  }
}
