import { AttestdError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import { workloadApiErrors } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import { shownDetail } from '../problem.ts'
import type { Route } from '../route.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import {
  requireAudiences,
  requireNonces,
  requireTokenType,
  type TokenParameters,
  tokenParameters,
} from '../token-parameters.ts'
import { launcherEvidenceRoute } from './confidential-space-evidence.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface ConfidentialSpaceSettings {
  /** Audience of `GET`, which names none. */
  readonly defaultAudience: string
  /** Who issues for `/v1/token`; null: the default issuer. */
  readonly issuer: string | null
  /** Who issues for `/v1/intel/token`; null: there is no such route (API-131). */
  readonly intelIssuer: string | null
}

/** Statuses of the profile and of identity that this surface keeps; any other refusal of the request is 400. */
const keptStatuses: readonly number[] = [400, 401, 403, 404, 408, 413, 414, 429, 431]

/** API-132. A verdict of the verifier against this machine is told like a bad request, as the launcher does. */
function statusOf({ code, status }: AttestdError): number {
  if (status >= 500) return code === 'issuer_rejected' ? 400 : 500
  return keptStatuses.includes(status) ? status : 400
}

function encodeError(error: AttestdError): SurfaceError {
  const type = 'text/plain; charset=utf-8'
  return { status: statusOf(error), type, body: shownDetail(error.message) }
}

/** As clients of the launcher have always seen it (API-132). */
const tokenForm: TokenForm = { type: 'text/html', body: ({ token }) => token }

const refuse = (field: string, says: string) => workloadApiErrors.error('invalid_request', says, { facts: { field } })

const knownOptions = ['audience', 'nonces', 'token_type', 'aws_principal_tag_options']

/** `aws_principal_tag_options` says something about a token type that is not served, and is not looked into. */
function readOptions(exchange: Exchange) {
  const reader = new MemberReader(exchange.jsonBody(), knownOptions)
  reader.object('aws_principal_tag_options')
  return { audience: reader.text('audience'), tokenType: reader.text('token_type'), nonces: reader.texts('nonces') }
}

/** What is wrong with the form of the body is told in the launcher's words. */
function requireOptions(exchange: Exchange): ReturnType<typeof readOptions> {
  try {
    return readOptions(exchange)
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const { message, facts } = error
    throw workloadApiErrors.error('invalid_request', `failed to parse POST body as TokenOptions: ${message}`, { facts })
  }
}

function requireParameters(exchange: Exchange): Partial<TokenParameters> {
  const { audience, tokenType, nonces } = requireOptions(exchange)
  if (!audience) throw refuse('audience', 'use GET request for the default identity token')
  if (!tokenType) throw refuse('token_type', 'token_type is a required parameter')
  requireTokenType(tokenType)
  return { audience: requireAudiences([audience]), nonces: requireNonces(nonces ?? []) }
}

function tokenRoutesAt(
  context: ApiContext,
  path: string,
  issuer: string | null,
  { defaultAudience }: ConfidentialSpaceSettings,
): Route[] {
  const serve = (exchange: Exchange, asked: Partial<TokenParameters>) =>
    answerToken(context, exchange, tokenParameters({ ...asked, issuer }), tokenForm)
  return [
    {
      method: 'GET',
      path,
      caller: true,
      handle: async (exchange) => {
        exchange.queryMembers({})
        await serve(exchange, { audience: [defaultAudience] })
      },
    },
    { method: 'POST', path, caller: true, handle: async (exchange) => serve(exchange, requireParameters(exchange)) },
  ]
}

/** What the launcher does on its own hosts only: refused to everybody (API-134). */
function closedRoutes(): Route[] {
  const body = 'this machine has no key manager and no host attestation'
  const handle = (exchange: Exchange) =>
    exchange.answer({
      status: 403,
      type: 'text/plain; charset=utf-8',
      body,
      code: 'not_supported',
      headers: { 'attestd-error': 'not_supported' },
    })
  return ['/v1/keys:getEndorsement', '/v1/hostAttestation'].flatMap((path) =>
    (['GET', 'POST'] as const).map((method) => ({ method, path, caller: true, handle })),
  )
}

/**
 * The socket of the Confidential Space launcher (section 8.1): tokens and evidence as its clients ask for them. Errors are
 * plain text, of other statuses than natively (API-132). Intended for `0660 root:attest-clients` (API-130).
 */
export function confidentialSpace(settings: ConfidentialSpaceSettings): Surface {
  const { issuer, intelIssuer } = settings
  return {
    listener: 'cs',
    anyBodyType: true,
    encodeError,
    routes: (context) => [
      ...tokenRoutesAt(context, '/v1/token', issuer, settings),
      ...(intelIssuer === null ? [] : tokenRoutesAt(context, '/v1/intel/token', intelIssuer, settings)),
      launcherEvidenceRoute(context),
      ...closedRoutes(),
    ],
  }
}
