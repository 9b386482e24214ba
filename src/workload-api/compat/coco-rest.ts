import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { matchesCaller } from '../../policies/caller-match.ts'
import { type CallerMethod, callerRequest } from '../../policies/caller-policy.ts'
import { type ApiContext, requireAllowed } from '../api-context.ts'
import { invalidRequest, workloadApiErrors } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { answerMeasurement } from '../measure-operation.ts'
import { type MeasureParameters, parseMeasureParameters } from '../measure-parameters.ts'
import { MemberReader } from '../members.ts'
import { quoted, shownDetail } from '../problem.ts'
import type { Route } from '../route.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import { tokenParameters } from '../token-parameters.ts'
import { type CocoFlavour, cocoEvidenceRoutes, octetStream } from './coco-evidence.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface CocoRestSettings {
  readonly flavour: CocoFlavour
  /** Audience of the tokens, which requests cannot name; null: the native default. */
  readonly defaultAudience: string | null
  /** Null: the default issuer. */
  readonly issuer: string | null
  /** Version of this program, for `/info`. */
  readonly version: string
  /** Whether this machine is a TD: another kind of guest is none that this surface can speak of. */
  readonly isTd: boolean
}

/** What the request itself is refused with; every other failure is 500 here (API-144). */
const keptStatuses: readonly number[] = [400, 401, 403, 404, 405, 408, 413, 414, 421, 429, 431]
const fixedTexts: Readonly<Record<number, string>> = {
  403: 'Forbidden',
  404: 'URL NOT FOUND',
  405: 'Method Not Allowed',
}

function encodeError(error: AttestdError): SurfaceError {
  const status = keptStatuses.includes(error.status) ? error.status : 500
  return { status, type: 'text/plain; charset=utf-8', body: fixedTexts[status] ?? shownDetail(error.message) }
}

const tokenForm: TokenForm = { type: octetStream, body: ({ token }) => token }

/** One parameter and no more, or it is 405; `kbs` would hand out a private key with the token (API-111, API-140). */
function requireTokenType(exchange: Exchange): void {
  const pairs = (exchange.query ?? '').split('&').filter((pair) => pair !== '')
  if (pairs.length !== 1) {
    throw workloadApiErrors.error('method_not_allowed', 'this route takes exactly one parameter', {
      facts: { allow: 'GET, HEAD' },
    })
  }
  const type = new MemberReader(exchange.queryMembers({ token_type: 'text' }), ['token_type']).text('token_type')
  if (type === null) throw invalidRequest('token_type', 'is missing')
  if (type !== 'coco_as') throw workloadApiErrors.error('not_supported', `token_type ${quoted(type)} is not served`)
}

async function serveToken(context: ApiContext, exchange: Exchange, settings: CocoRestSettings): Promise<void> {
  requireTokenType(exchange)
  await answerToken(context, exchange, tokenParameters(tokenWishes(settings)), tokenForm)
}

const tokenWishes = ({ defaultAudience, issuer }: CocoRestSettings) => ({
  audience: defaultAudience === null ? null : [defaultAudience],
  issuer,
})

/** PCR numbers stand for registers of a TD as its firmware maps them; those of the firmware itself nobody extends. */
function registerOf(index: number | null): string {
  if (index === null) return 'rtmr3'
  if (index >= 1 && index <= 7)
    throw workloadApiErrors.error('not_supported', 'registers of the firmware are not extended')
  return index >= 8 && index <= 15 ? 'rtmr2' : 'rtmr3'
}

function readMeasurement(exchange: Exchange): MeasureParameters {
  const { register_index: index, ...texts } = exchange.jsonBody()
  const read = new MemberReader(index === undefined ? {} : { register_index: index }, ['register_index'])
  new MemberReader(texts, ['domain', 'operation', 'content'])
  const members: JsonObject = { ...texts, register: registerOf(read.integer('register_index', 0, 23)) }
  return parseMeasureParameters(members)
}

/** What was not recorded is 500, also where the text of the event is at fault (API-142). */
function notRecorded(error: unknown): never {
  if (!(error instanceof AttestdError) || error.kind !== 'malformed') throw error
  const { code, kind, message, remedy, retryable, facts } = error
  throw new AttestdError(code, { kind, title: code, remedy, retryable, status: 500 }, message, { facts })
}

function parseMeasurement(exchange: Exchange): MeasureParameters {
  try {
    exchange.queryMembers({})
    return readMeasurement(exchange)
  } catch (error) {
    return notRecorded(error)
  }
}

async function serveMeasurement(context: ApiContext, exchange: Exchange, flavour: CocoFlavour): Promise<void> {
  const answer =
    flavour === 'coco'
      ? { status: 200, type: 'application/json', body: '{"success":"true"}' }
      : { status: 200, type: octetStream, body: '' }
  await answerMeasurement(context, exchange, parseMeasurement(exchange), () => answer)
}

const ownMethods: readonly CallerMethod[] = ['token', 'raw_report_data', 'measure']

/** Who may do nothing of what this surface is about is not told what machine this is (API-143). */
function requireSomeRight(context: ApiContext, exchange: Exchange): void {
  const { rules, unmapped } = context.policy()
  const mine = rules.filter(({ match }) => matchesCaller(match, exchange.caller, unmapped))
  if (mine.some(({ allow }) => allow.methods.some((method) => ownMethods.includes(method)))) return
  requireAllowed(context, exchange, callerRequest('raw_report_data'), false)
}

/** `tee` must be there: known clients end without it, so that on another guest there is no answer (API-143). */
async function serveInfo(context: ApiContext, exchange: Exchange, settings: CocoRestSettings): Promise<void> {
  exchange.queryMembers({})
  requireSomeRight(context, exchange)
  const { version, flavour, isTd } = settings
  if (!isTd) throw workloadApiErrors.error('not_supported', 'this machine is no TD')
  const info = { version, tee: 'tdx', additional_tees: [] }
  const body = JSON.stringify(flavour === 'coco' ? { ...info, feature: 'attestation' } : info)
  await exchange.answer({ status: 200, type: 'application/json', body })
}

function ownRoutes(context: ApiContext, settings: CocoRestSettings): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/info',
      caller: true,
      handle: (exchange) => serveInfo(context, exchange, settings),
    },
    {
      method: 'GET',
      path: '/aa/token',
      caller: true,
      handle: (exchange) => serveToken(context, exchange, settings),
    },
    {
      method: 'POST',
      path: '/aa/aael',
      caller: true,
      handle: (exchange) => serveMeasurement(context, exchange, settings.flavour),
    },
  ]
}

/**
 * The REST API of the agents of Confidential Containers and of Trustiflux, which TNG too speaks to (section 8.2). It has
 * no place for a secret: who may do what is decided by the user of the connection alone (API-124).
 */
export function cocoRest(settings: CocoRestSettings): Surface {
  return {
    listener: 'tcp:coco_rest',
    // Its clients do not declare their bodies, or not as JSON.
    anyBodyType: true,
    encodeError,
    routes: (context) => [...ownRoutes(context, settings), ...cocoEvidenceRoutes(context, settings.flavour)],
  }
}
