import { equalBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Standing } from '../../base/fair-queue.ts'
import type { RandomSource } from '../../base/random.ts'
import { deriveReportData, deriveSeed, digestDevices, encodeTokenRequest } from '../../evidence/binding.ts'
import { hashLeaf, treeRoot } from '../../evidence/request-tree.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { parseQuote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { discoverKeys, type TrustedKeys } from '../../relying-party/index.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { sameSet } from '../cache-key.ts'
import { passportErrors } from '../errors.ts'
import type { TokenSource } from '../token-source.ts'
import { acceptRemoteToken, type RemoteTokenTrust, recogniseRemoteToken, verifierOf } from './accept-remote-token.ts'
import { type AttestationClient, createAttestationClient } from './attestation-client.ts'
import { encodeAttestationRequest } from './attestation-request.ts'
import type { AttestationTransport } from './attestation-transport.ts'
import { requireEndpoints } from './endpoints.ts'
import { remoteErrors } from './errors.ts'
import { quotedMembers } from './quoted-members.ts'
import { SentQuotes } from './sent-quotes.ts'

export interface AlibabaSourceOptions {
  readonly name: string
  readonly generation: number
  /** `iss` of its tokens, byte for byte; its keys are found below it unless they are pinned. */
  readonly issuer: string
  /** Default: the issuer (TOK-120). */
  readonly audience?: string
  /** Base URLs to post to, in order of preference (SVC-01). Default: the issuer. */
  readonly endpoints?: readonly string[]
  /** Takes plain http to this host itself, for endpoints and keys: for trying things out. Default false. */
  readonly allowLoopbackHttp?: boolean
  /** Pinned keys, or a source that several share. Default: discovery below `issuer`. */
  readonly keys?: TrustedKeys
  /** Sends the event log too (SVC-20). Default false, as the published clients do. */
  readonly sendEventLog?: boolean
  /** Default 21 600, as the hosted service issues. What counts is `exp − iat` of each token (SVC-19). */
  readonly usualLifetimeS?: number
  /** Longest `exp − iat` that is accepted; default 86 400 (BRK-106). */
  readonly maxLifetimeS?: number
  /** Default false (BRK-108). */
  readonly allowDebug?: boolean
  /** Takes tokens that say that their evidence was simulated. Default false. */
  readonly allowSimulated?: boolean
  /** Limit of one exchange as a whole; default 15 000 (BRK-48). */
  readonly exchangeMs?: number
  readonly transport: AttestationTransport
  /** Port of the attester: a quote that covers these 64 bytes. One at a time is its own affair (BRK-80). */
  readonly collectTdx: (reportData: Uint8Array, signal: AbortSignal, standing?: Standing) => Promise<TdxEvidence>
  /** Milliseconds before such a quote could begin (BRK-81); absent: it is never waited for. */
  readonly expectedWaitMs?: (standing: Standing) => number
  readonly clock: Clock
  /** A cryptographic source: the salt of a request keeps its report data from being foreseen. */
  readonly random: RandomSource
}

export interface AlibabaSource extends TokenSource {
  readonly fixedAudience: readonly string[]
  /** BRK-94: the service gives no challenge and binds no nonce of a caller. */
  readonly freshness: 'unbound'
}

const policyIdForm = /^[A-Za-z0-9._-]{1,128}$/

function unsupported(wish: string) {
  return remoteErrors.error('request_unsupported', `tokens of this issuer ${wish}`, { facts: { wish } })
}

/** Whatever the service cannot put into its token is refused, never left out (API-96, API-97). */
function requireFulfillable({ audience, nonces, cnf, ttlS, policyIds }: TokenRequest, fixed: readonly string[]): void {
  if (audience.length > 0 && !sameSet(audience, fixed)) {
    const facts = { issuer_audience: fixed[0] ?? '' }
    throw remoteErrors.error('audience_unsupported', 'the issuer has one audience for all tokens', { facts })
  }
  if (nonces.length > 0) throw remoteErrors.error('nonce_unsupported', 'tokens of this issuer carry no nonces')
  if (cnf !== null) throw unsupported('name no key')
  if (ttlS !== null) throw unsupported('have the lifetime that the service gives')
  if (policyIds.length > 10 || !policyIds.every((id) => policyIdForm.test(id))) {
    throw unsupported('are made under at most 10 policies with ids of 1 to 128 letters, digits, dots, _ and -')
  }
}

/**
 * The 64 bytes of BRK-92 over the request, a fresh salt and the name of this verifier, without a challenge, for the
 * service has none (BRK-94). The salt makes every quote its own, so that a kept answer cannot fit.
 */
function composeReportData(request: TokenRequest, { issuer, random }: AlibabaSourceOptions): Uint8Array {
  const root = treeRoot([hashLeaf(encodeTokenRequest(request, random(16)))])
  const seed = deriveSeed({ purpose: 'token', verifier: issuer, challenge: null, root, size: 1, agentKey: null })
  return deriveReportData(seed, digestDevices([]))
}

/** TDX-009, BRK-96: what does not cover these bytes, which are never constant, goes to nobody. */
function requireEcho(evidence: TdxEvidence, reportData: Uint8Array): void {
  const quote = parseQuote(evidence.quote)
  const fail = (says: string) =>
    passportErrors.error('evidence_unavailable', says, { facts: { cause_code: 'TDX-009' } })
  if (quote.body.kind === 'sgx') throw fail('the quote is that of an enclave, not of a TD')
  if (!equalBytes(reportDataOf(quote), reportData)) throw fail('the quote covers other report data than were asked for')
}

/** Settings that the verifier of tokens refuses are found here and not with the first token. */
function trustOf(options: AlibabaSourceOptions): RemoteTokenTrust {
  const { issuer, audience = issuer, clock, allowLoopbackHttp = false, maxLifetimeS = 86_400 } = options
  const { keys = { source: discoverKeys(issuer, { clock, allowLoopbackHttp }) } } = options
  const { allowDebug = false, allowSimulated = false } = options
  const trust = { issuer, audience, keys, allowDebug, allowSimulated, maxLifetimeS, clock }
  verifierOf(trust, [])
  return trust
}

function clientOf(options: AlibabaSourceOptions): AttestationClient {
  const { issuer, endpoints: bases = [issuer], allowLoopbackHttp = false, transport, clock, exchangeMs } = options
  const endpoints = requireEndpoints(bases, { allowLoopbackHttp })
  return createAttestationClient({ endpoints, transport, clock, ...(exchangeMs === undefined ? {} : { exchangeMs }) })
}

/** What one source keeps between its calls. */
interface Desk {
  readonly options: AlibabaSourceOptions
  readonly client: AttestationClient
  readonly sent: SentQuotes
  readonly fixedAudience: readonly string[]
}

async function obtain(desk: Desk, request: TokenRequest, signal: AbortSignal, standing?: Standing): Promise<string> {
  requireFulfillable(request, desk.fixedAudience)
  const { clock, collectTdx, sendEventLog = false } = desk.options
  const reportData = composeReportData(request, desk.options)
  const evidence = await collectTdx(reportData, signal, standing)
  requireEcho(evidence, reportData)
  const { policyIds } = request
  const body = encodeAttestationRequest({ evidence, reportData, policyIds, sendEventLog })
  const quote = { reportData, members: quotedMembers(evidence.quote), at: clock.now() }
  const token = await desk.client.obtainToken(body, signal)
  desk.sent.note(token, quote)
  return token
}

/**
 * Alibaba Cloud's attestation service as a source of tokens: a quote over report data of our own, sent to the service;
 * the token that comes back is served only if it is about that very quote (attestation-service.md sections 1 to 3, 6).
 * Its tokens have one audience, name no key and carry no nonces; a request for any of these is refused. What the hosted
 * service does beyond its published documents is not known: this client was tested against our own server and recorded
 * shapes (section 12). Throws configuration errors; reaches out only when a token is asked for.
 */
export function createAlibabaSource(options: AlibabaSourceOptions): AlibabaSource {
  const { name, generation, usualLifetimeS = 21_600, clock } = options
  const trust = trustOf(options)
  const fixedAudience = [trust.audience]
  const desk = { options, client: clientOf(options), sent: new SentQuotes(clock), fixedAudience }
  return {
    name,
    generation,
    usualLifetimeS,
    fixedAudience,
    freshness: 'unbound',
    obtainToken: (request, signal, standing) => obtain(desk, request, signal, standing),
    expectedWaitMs: (standing) => options.expectedWaitMs?.(standing) ?? 0,
    acceptToken: async (token, { policyIds }) => {
      const sent = desk.sent.take(token)
      if (sent !== undefined) return acceptRemoteToken(token, trust, { sent, policyIds })
      const facts = { check: 'BRK-107' }
      throw passportErrors.error('issuer_bad_token', 'no quote was sent for this token', { facts })
    },
    recogniseToken: (token, { policyIds }) => recogniseRemoteToken(token, trust, policyIds),
  }
}
