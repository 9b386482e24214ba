import { AttestdError } from '../../base/errors.ts'
import { JoinedCalls } from '../../base/joined-calls.ts'
import { NewestFew } from '../../base/newest-few.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import { asksForDocuments, defaultPolicies, defaultPolicyFor, parsePolicy, policyDigest } from '../../policies/index.ts'
import type { PolicyBook } from '../../registry/policies/policy-book.ts'
import type { StoredPolicy } from '../../registry/policies/policy-outcome.ts'
import type { AppraisalPolicy, TextPolicy } from '../embedded/appraisal-policies.ts'

export interface SelectedPoliciesOptions {
  readonly book: Pick<PolicyBook, 'active'>
  /** Why nobody needs to ask the book now; null: it may answer. Default: always null. */
  readonly away?: () => AttestdError | null
  /** Those of files, which the store never replaces. */
  readonly files: readonly AppraisalPolicy[]
  /** Ids for requests that name none; null: the shipped default for TDs (POL-441). */
  readonly usual: readonly string[] | null
}

/** What a request may call the policies that are evaluated by default. */
const usualId = 'default'
const mostRead = 64
/** A byte order mark stays in the text: policies may begin with one, and it counts in their hash. */
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8 = new TextEncoder()

/** Under which name the store keeps the policy with this id. */
export const slotOfId = (id: string) => `id:${id}`

/**
 * Policies by their ids (POL-442, SVC-08): those of files, those that are shipped, and those of the store as they are at this
 * moment.
 */
export class SelectedPolicies {
  readonly #options: SelectedPoliciesOptions
  /** Under their digest: a text is parsed once, however often it is asked. */
  readonly #read = new NewestFew<Omit<TextPolicy, 'id'>>(mostRead)
  /** The store is asked by one request for all that wait. */
  readonly #stored: JoinedCalls<StoredPolicy | null>

  constructor(options: SelectedPoliciesOptions) {
    this.#options = options
    this.#stored = new JoinedCalls((slot) => options.book.active(slot))
  }

  /**
   * The policies of a request in the order in which they are evaluated, each once; none is skipped silently. Rejects with
   * `AS.REQUEST.INVALID_ARGUMENT` naming the first id that nobody knows, and with `AS.SERVICE.POLICY_MISSING` where one of
   * those that are evaluated by default is missing; with `AS.DEPENDENCY.UNAVAILABLE` where the store cannot be read, for what
   * it may hold is never left out.
   */
  async select(ids: readonly string[]): Promise<readonly AppraisalPolicy[]> {
    const found: AppraisalPolicy[] = []
    for (const [at, id] of ids.entries()) {
      // A name that stands there ten times costs the store no more than once.
      if (ids.indexOf(id) < at) continue
      const policies = id === usualId ? await this.#usual() : [(await this.#find(id)) ?? refuseId(at)]
      found.push(...policies)
    }
    const selected = ids.length === 0 ? await this.#usual() : found
    return selected.filter(({ id }, at) => selected.findIndex((other) => other.id === id) === at)
  }

  async #usual(): Promise<readonly AppraisalPolicy[]> {
    const { usual } = this.#options
    if (usual === null) return [this.#shipped(defaultPolicyFor(['tdx']))]
    return Promise.all(usual.map(async (id) => (await this.#find(id)) ?? refuseUsual(id, 'is not in the store')))
  }

  async #find(id: string): Promise<AppraisalPolicy | null> {
    const ofFile = this.#options.files.find((policy) => policy.id === id)
    if (ofFile !== undefined) return ofFile
    const shipped = defaultPolicies.find(({ name }) => name === id)
    if (shipped !== undefined) return this.#shipped(shipped)
    // Whoever waited behind a call that is not answered would wait for as long again.
    const away = this.#options.away?.() ?? null
    if (away !== null) return refuseStore(away)
    const stored = await this.#stored.get(slotOfId(id)).catch(refuseStore)
    return stored === null ? null : this.#textPolicy(id, stored.policy)
  }

  #shipped({ name, text }: { readonly name: string; readonly text: string }): TextPolicy {
    return this.#textPolicy(name, utf8.encode(text))
  }

  #textPolicy(id: string, bytes: Uint8Array): TextPolicy {
    const hash = policyDigest(bytes)
    return { id, ...this.#read.of(hash, () => readPolicy(id, hash, bytes)) }
  }
}

/** What loaded when it was set may be refused by a later version of the language: then it permits nothing. */
function readPolicy(id: string, hash: string, bytes: Uint8Array): Omit<TextPolicy, 'id'> {
  const { policy } = parsePolicy(bytes)
  if (policy === undefined) return refuseUsual(id, 'does not load any more')
  return { hash, text: strictText.decode(bytes), documents: asksForDocuments(policy) }
}

function refuseId(at: number): never {
  throw attestationErrors.error(
    'AS.REQUEST.INVALID_ARGUMENT',
    'the request names a policy that this verifier does not have',
    {
      facts: { field: `policy_ids[${at}]` },
      remedy: 'name ids that the operator of the verifier has set, or none for its default',
    },
  )
}

function refuseUsual(id: string, says: string): never {
  throw attestationErrors.error('AS.SERVICE.POLICY_MISSING', `policy ${id} ${says}`, { facts: { policy_id: id } })
}

/** Where the store is and what it said is for the log, which has the code, and for the administrator (ERR-02). */
function refuseStore(cause: unknown): never {
  if (!(cause instanceof AttestdError)) throw cause
  const says = 'the policies of this service cannot be read at present'
  throw attestationErrors.error('AS.DEPENDENCY.UNAVAILABLE', says, {
    ...{ cause, facts: { cause_code: cause.code } },
    remedy:
      'try again later; if it lasts, whoever runs this service sees in `attestd verifier status` what its store lacks',
  })
}
