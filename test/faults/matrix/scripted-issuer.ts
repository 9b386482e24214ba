import { createAttestationClient } from '../../../src/passport/remote/attestation-client.ts'
import type { AttestationAnswer } from '../../../src/passport/remote/attestation-transport.ts'
import type { TokenRequest } from '../../../src/results/token-request.ts'
import type { FakeClock } from '../../support/fake-clock.ts'
import { FakeTokenSource } from '../../support/fake-token-source.ts'

/** What a remote issuer answers. */
export type ScriptedAnswer = Partial<Omit<AttestationAnswer, 'body'>> & { readonly body?: string }

/** An issuer behind the HTTP client of remote verifiers, whose answers are scripted; null: it gives tokens. */
export class ScriptedIssuer extends FakeTokenSource {
  answer: ScriptedAnswer | Error | null = null
  posts = 0
  readonly #clock: FakeClock

  constructor(clock: FakeClock, about: { name: string; usualLifetimeS: number }) {
    super(clock, about)
    this.#clock = clock
  }

  override obtainToken(request: TokenRequest, signal: AbortSignal): Promise<string> {
    const post = async (): Promise<AttestationAnswer> => {
      this.posts++
      const { answer } = this
      if (answer instanceof Error) throw answer
      const plain = { status: 200, contentType: null, retryAfter: null }
      if (answer === null) return { ...plain, body: Buffer.from(await super.obtainToken(request, signal)) }
      const { body = '', ...head } = answer
      return { ...plain, ...head, body: Buffer.from(body) }
    }
    const endpoints = [new URL('https://issuer.example/v1/attestation')]
    const client = createAttestationClient({ endpoints, transport: { post }, clock: this.#clock })
    return client.obtainToken(new Uint8Array(2), signal)
  }
}
