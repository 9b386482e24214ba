import { invalidRequest, workloadApiErrors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { MemberReader, requireKnownMembers } from './members.ts'
import { encodeProblem } from './problem.ts'
import { type RegistryActions, registryRoutes } from './registry-routes.ts'
import type { Route } from './route.ts'
import { type TestActions, testRoutes } from './test-routes.ts'
import { requireAudiences } from './token-parameters.ts'

/** Entries of the cache: all of them, or those of an issuer, an audience, a signing key. */
export type EntrySelector =
  | { readonly all: true }
  | { readonly issuer: string }
  | { readonly audience: readonly string[]; readonly issuer?: string }
  | { readonly kid: string }

export interface InvalidateOptions {
  /** True: what is invalidated is not served any more from now on; false: it is served until a new one is there. */
  readonly hard: boolean
  readonly reason: string | null
}

/** What administrators can do (section 6.5); given by the agent. */
export interface AdminActions {
  /** The whole state, without token text. Must have a JSON form. */
  status(): unknown
  refresh(entries: EntrySelector): Promise<void> | void
  /** Gives the number of entries that were invalidated. */
  invalidate(entries: EntrySelector, options: InvalidateOptions): Promise<number> | number
  /** Gives every error of the new configuration; none: it is in force. */
  reload(): Promise<readonly string[]>
  /** OpenMetrics text. */
  metrics?(): Promise<string> | string
  /** Records of the journal behind the record `since`, as the JSON text of the answer. */
  journal?(since: number): Promise<string>
  /** What a maintainer needs to help, without anything secret (API-110), as JSON text. */
  support?(): Promise<string>
  /** Of an agent in test mode (BRK-170); without it there are no such routes. */
  readonly test?: TestActions
  /** Without it there are no routes of the registry. */
  readonly registry?: RegistryActions
}

function requireText(reader: MemberReader, name: string): string | null {
  const text = reader.text(name)
  if (text === null || (text.length >= 1 && text.length <= 512)) return text
  throw invalidRequest(name, 'is not 1 to 512 characters long')
}

function selectors(reader: MemberReader, kid: string | null): EntrySelector[] {
  const audience = reader.texts('audience', true)
  const issuer = requireText(reader, 'issuer')
  const found: EntrySelector[] = []
  if (reader.boolean('all') === true) found.push({ all: true })
  if (audience) found.push({ audience: requireAudiences(audience), ...(issuer === null ? {} : { issuer }) })
  else if (issuer !== null) found.push({ issuer })
  if (kid !== null) found.push({ kid })
  return found
}

function requireOne(found: readonly EntrySelector[]): EntrySelector {
  const [only, ...others] = found
  if (only && others.length === 0) return only
  throw invalidRequest('body', 'must select entries in exactly one way')
}

const json = (exchange: Exchange, status: number, document: unknown) =>
  exchange.answer({ status, type: 'application/json', body: JSON.stringify(document) })

async function refresh(admin: AdminActions, exchange: Exchange): Promise<void> {
  const reader = new MemberReader(exchange.jsonBody(), ['all', 'audience', 'issuer'])
  await admin.refresh(requireOne(selectors(reader, null)))
  await json(exchange, 202, { accepted: true })
}

async function invalidate(admin: AdminActions, exchange: Exchange): Promise<void> {
  const reader = new MemberReader(exchange.jsonBody(), ['all', 'audience', 'issuer', 'kid', 'hard', 'reason'])
  const entries = requireOne(selectors(reader, requireText(reader, 'kid')))
  const options = { hard: reader.boolean('hard') ?? false, reason: requireText(reader, 'reason') }
  await json(exchange, 200, { entries: await admin.invalidate(entries, options) })
}

function requireNothing(exchange: Exchange): void {
  if (exchange.body.length > 0) requireKnownMembers(exchange.jsonBody(), [])
}

async function reload(admin: AdminActions, exchange: Exchange): Promise<void> {
  requireNothing(exchange)
  const errors = await admin.reload()
  if (errors.length === 0) return json(exchange, 200, { reloaded: true })
  const refused = workloadApiErrors.error('configuration_invalid', errors[0] ?? 'the configuration is not valid')
  await exchange.readyToWrite()
  exchange.writeProblem(encodeProblem(refused, exchange.id, errors))
}

async function serveJournal(read: (since: number) => Promise<string>, exchange: Exchange): Promise<void> {
  const reader = new MemberReader(exchange.queryMembers({ since: 'integer' }), ['since'])
  const body = await read(reader.integer('since', 0, Number.MAX_SAFE_INTEGER) ?? 0)
  await exchange.answer({ status: 200, type: 'application/json', body })
}

async function serveSupport(collect: () => Promise<string>, exchange: Exchange): Promise<void> {
  await exchange.answer({ status: 200, type: 'application/json', body: await collect() })
}

/** Routes that an agent has only with the part of it that they are about. */
function optionalRoutes({ journal, support, test }: AdminActions): Route[] {
  const route = (name: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path: `/v1/admin/${name}`,
    caller: false,
    handle,
  })
  return [
    ...(journal ? [route('journal', (exchange) => serveJournal(journal, exchange))] : []),
    ...(support ? [route('support', (exchange) => serveSupport(support, exchange))] : []),
    ...(test ? testRoutes(test) : []),
  ]
}

/** Routes of the admin listener; on every other listener they do not exist (API-02). */
export function adminRoutes(admin: AdminActions): readonly Route[] {
  const post = (name: string, handle: (admin: AdminActions, exchange: Exchange) => Promise<void>): Route => ({
    method: 'POST',
    path: `/v1/admin/${name}`,
    caller: false,
    handle: (exchange) => handle(admin, exchange),
  })
  const get = (path: string, type: string, body: () => Promise<string>): Route => ({
    method: 'GET',
    path,
    caller: false,
    handle: async (exchange) => exchange.answer({ status: 200, type, body: await body() }),
  })
  const { metrics, registry } = admin
  return [
    get('/v1/admin/status', 'application/json', async () => JSON.stringify(await admin.status())),
    post('refresh', refresh),
    post('invalidate', invalidate),
    post('reload', reload),
    ...optionalRoutes(admin),
    ...(registry ? registryRoutes(registry) : []),
    ...(metrics
      ? [get('/metrics', 'application/openmetrics-text; version=1.0.0; charset=utf-8', async () => metrics.call(admin))]
      : []),
  ]
}
