import { issuerErrors } from './errors.ts'
import type { SigningAlgorithm } from './signing-key.ts'

/** What a consumer's documentation says about the tokens that it takes (token.md section 9). */
export interface ConsumerLimits {
  readonly title: string
  readonly algorithms: readonly SigningAlgorithm[]
  readonly tokenCharacters: number
  readonly issuerCharacters: number
  /** The issuer URL may name a port. */
  readonly issuerPort: boolean
  readonly audienceForm: RegExp
  /** Audiences of one token. */
  readonly audiences: number
  readonly subjectBytes: number
  /** Seconds from `iat` to `exp`. */
  readonly lifetimeS: readonly [least: number, most: number]
}

const unlimited: ConsumerLimits = {
  title: 'OpenID clients',
  algorithms: ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'],
  tokenCharacters: Number.POSITIVE_INFINITY,
  issuerCharacters: 255,
  issuerPort: true,
  audienceForm: /^[\x21-\x7e]{1,256}$/,
  audiences: 8,
  subjectBytes: 255,
  lifetimeS: [0, 86_400],
}

export const consumers = {
  openid: unlimited,
  'alibaba-sts': {
    ...unlimited,
    title: 'Alibaba STS',
    algorithms: ['RS256'],
    tokenCharacters: 20_000,
    audienceForm: /^[A-Za-z0-9][A-Za-z0-9.\-_:/]{0,127}$/,
    // IssuanceLimitTime, counted from `iat`, is 12 hours unless the owner of the provider raised it.
    lifetimeS: [0, 43_200],
  },
  'aws-sts': {
    ...unlimited,
    title: 'AWS STS',
    algorithms: ['RS256', 'ES256', 'ES384'],
    tokenCharacters: 20_000,
    issuerPort: false,
  },
  google: { ...unlimited, title: 'Google Cloud', algorithms: ['RS256', 'ES256'], subjectBytes: 127 },
  vault: { ...unlimited, title: 'HashiCorp Vault' },
  kubernetes: { ...unlimited, title: 'Kubernetes', algorithms: ['RS256', 'ES256', 'ES384', 'PS256'] },
  entra: {
    ...unlimited,
    title: 'Microsoft Entra',
    algorithms: ['RS256'],
    audiences: 1,
    // Its SDKs keep the token file for 5 to 10 minutes.
    lifetimeS: [1200, 86_400],
  },
} as const satisfies Readonly<Record<string, ConsumerLimits>>

export type ConsumerName = keyof typeof consumers

function violation(consumer: ConsumerName, sentence: string, limit: string, remedy?: string) {
  const { title } = consumers[consumer]
  const options = { facts: { consumer, limit }, ...(remedy === undefined ? {} : { remedy }) }
  return issuerErrors.error('CONSUMER_LIMIT', `${title} ${sentence}`, options)
}

/** What a configuration fixes about the tokens of one audience. */
export interface PlannedToken {
  readonly issuer: string
  readonly algorithm: SigningAlgorithm
  readonly audience: string
  readonly lifetimeS: number
}

/** Checks an audience policy when it is loaded (TOK-150). Throws `CONSUMER_LIMIT` naming the limit. */
export function requireConsumerTakesPolicy(consumer: ConsumerName, planned: PlannedToken): void {
  const limits: ConsumerLimits = consumers[consumer]
  const { issuer, algorithm, audience, lifetimeS } = planned
  if (!limits.algorithms.includes(algorithm)) {
    throw violation(consumer, `takes ${limits.algorithms.join(', ')}, not ${algorithm}`, 'algorithm')
  }
  if (issuer.length > limits.issuerCharacters) {
    throw violation(consumer, `takes at most ${limits.issuerCharacters} characters of issuer`, 'issuer')
  }
  if (!limits.issuerPort && new URL(issuer).port !== '') {
    throw violation(consumer, 'takes no issuer with a port', 'issuer')
  }
  if (!limits.audienceForm.test(audience)) {
    throw violation(consumer, `takes no such audience; it must match ${limits.audienceForm.source}`, 'audience')
  }
  requireLifetime(consumer, lifetimeS)
}

function requireLifetime(consumer: ConsumerName, lifetimeS: number): void {
  const [least, most] = consumers[consumer].lifetimeS
  if (lifetimeS < least || lifetimeS > most) {
    throw violation(consumer, `takes tokens that live ${least} to ${most} s, not ${lifetimeS} s`, 'lifetime')
  }
}

/** What is known when a token has been minted. */
export interface MintedToken {
  readonly token: string
  readonly audience: readonly string[]
  readonly subject: string
  readonly lifetimeS: number
}

/** Checks a token before it is handed out (TOK-150). Throws `CONSUMER_LIMIT` naming the limit. */
export function requireConsumerTakesToken(consumer: ConsumerName, minted: MintedToken): void {
  const limits: ConsumerLimits = consumers[consumer]
  const { token, audience, subject, lifetimeS } = minted
  if (audience.length > limits.audiences) {
    throw violation(consumer, `takes tokens with ${limits.audiences} audience, not ${audience.length}`, 'audiences')
  }
  if (Buffer.byteLength(subject) > limits.subjectBytes) {
    throw violation(consumer, `takes subjects of at most ${limits.subjectBytes} bytes`, 'subject')
  }
  requireLifetime(consumer, lifetimeS)
  if (token.length > limits.tokenCharacters) {
    const sentence = `takes at most ${limits.tokenCharacters} characters; this token has ${token.length}`
    throw violation(consumer, sentence, 'size', 'issue fewer claims for this audience, `tcb-status` first')
  }
}
