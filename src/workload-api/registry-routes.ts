import { invalidRequest } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { MemberReader, requireKnownMembers } from './members.ts'
import { keyName, type Route } from './route.ts'

/** What an operator decides about the enrolment of one key (ENR-07). */
export const enrolmentDecisions = ['suspend', 'resume', 'revoke'] as const
export type EnrolmentDecision = (typeof enrolmentDecisions)[number]

/**
 * What administrators see of the verifier's memory of TPMs and decide about it (tpm.md section 10); given by the agent. Names
 * of keys are lower-case hexadecimal. What is given must have a JSON form, and hold neither secrets nor evidence.
 */
export interface RegistryActions {
  /** A page of enrolments, from the first one whose AK name comes after this one; all begin after the empty name. */
  list(after: string): Promise<unknown>
  /** One enrolment with its history. Throws `ak_unknown`. */
  show(akName: string): Promise<unknown>
  /** Resolves when no token of an enrolment that does not stand any more is served. Throws `ak_unknown`, `enrolment_state`. */
  decide(akName: string, decision: EnrolmentDecision): Promise<unknown>
  /** Gives an EK and its identity free (ENR-09); resolves as `decide` does. */
  release(ekName: string): Promise<unknown>
}

const root = '/v1/admin/registry'
const isName = new RegExp(`^${keyName.source}$`)
/** Also the beginning of a name: whoever looks for names that begin so starts there. */
const isBeginning = /^[0-9a-f]{0,132}$/

async function answer(exchange: Exchange, document: unknown): Promise<void> {
  await exchange.answer({ status: 200, type: 'application/json', body: JSON.stringify(document) })
}

function readAfter(exchange: Exchange): string {
  const after = new MemberReader(exchange.queryMembers({ after: 'text' }), ['after']).text('after') ?? ''
  if (!isBeginning.test(after)) throw invalidRequest('after', 'is not lower-case hexadecimal of at most 132 digits')
  return after
}

function readEk(exchange: Exchange): string {
  const ek = new MemberReader(exchange.jsonBody(), ['ek']).text('ek')
  if (ek === null || !isName.test(ek)) throw invalidRequest('ek', 'is not the name of a key')
  return ek
}

function namedKey({ parameter }: Exchange): string {
  if (parameter === null) throw new TypeError('a route of one key without its name')
  return parameter
}

function requireNothing(exchange: Exchange): void {
  exchange.queryMembers({})
  if (exchange.body.length > 0) requireKnownMembers(exchange.jsonBody(), [])
}

/** Routes of the admin listener only (API-02). */
export function registryRoutes(registry: RegistryActions): readonly Route[] {
  const route = (method: Route['method'], path: string, perform: (exchange: Exchange) => Promise<unknown>): Route => ({
    method,
    path: `${root}${path}`,
    caller: false,
    handle: async (exchange) => answer(exchange, await perform(exchange)),
  })
  return [
    route('GET', '', (exchange) => registry.list(readAfter(exchange))),
    route('POST', '/release', (exchange) => registry.release(readEk(exchange))),
    route('GET', '/{name}', (exchange) => {
      requireNothing(exchange)
      return registry.show(namedKey(exchange))
    }),
    ...enrolmentDecisions.map((decision) =>
      route('POST', `/{name}/${decision}`, (exchange) => {
        requireNothing(exchange)
        return registry.decide(namedKey(exchange), decision)
      }),
    ),
  ]
}
