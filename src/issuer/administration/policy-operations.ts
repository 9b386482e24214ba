import { toBase64 } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { encodeUnsignedReset } from '../../policies/signed/encode-policy-jws.ts'
import {
  describeActivation,
  describeDiagnostics,
  describeInList,
  describePolicySigner,
  describeVersion,
} from './descriptions.ts'
import { administrationErrors, invalidField } from './errors.ts'
import { hasShippedDefault } from './policy-name.ts'
import type { AdministeredOutcome, AdministeredPolicies, AdministeredSigners } from './ports.ts'
import { hasTrustedSigner, trustedNow } from './signer-standing.ts'

/** Policies that are listed at once: of each the active one is read. */
const policiesAtOnce = 64

/** A refusal with more to say than its error: members of the problem document. */
export class Refusal {
  readonly error: AttestdError
  readonly members: JsonObject

  constructor(error: AttestdError, members: JsonObject) {
    this.error = error
    this.members = members
  }
}

/**
 * A page of all policies that were ever set, by name, from the first after `after` on; `active` null is the shipped default.
 * `signerTrusted` false: it stays active, and would not be accepted now.
 */
export async function listPolicies(
  policies: AdministeredPolicies,
  signers: AdministeredSigners,
  after: string,
): Promise<JsonObject> {
  const trusted = await trustedNow(signers)
  // The order is ours: databases have others.
  const names = [...(await policies.slots())].sort().filter((slot) => slot > after)
  const page: JsonValue[] = []
  for (const slot of names.slice(0, policiesAtOnce)) {
    const active = await policies.active(slot)
    const shown = active === null ? null : describeInList(active.version)
    page.push({ slot, active: shown, signerTrusted: active && hasTrustedSigner(active.version, trusted) })
  }
  return { policies: page, next: names.length > policiesAtOnce ? (names[policiesAtOnce - 1] ?? null) : null }
}

/** A page of the versions of a policy, newest first, and the last changes of what is active. */
export async function describeHistory(
  policies: AdministeredPolicies,
  slot: string,
  before: number | undefined,
): Promise<JsonObject> {
  await requireKnown(policies, slot)
  const [versions, activations] = [await policies.versions(slot, before), await policies.activations(slot)]
  const active = await policies.active(slot)
  // They are numbered from 1 on without a gap.
  const oldest = versions.at(-1)?.number ?? 1
  return {
    slot,
    active: active?.version.number ?? null,
    versions: versions.map(describeInList),
    next: oldest > 1 ? oldest : null,
    activations: activations.map(describeActivation),
  }
}

/** A version as it was uploaded, in standard base64, and its text. */
export async function showVersion(
  policies: AdministeredPolicies,
  signers: AdministeredSigners,
  slot: string,
  number: number,
): Promise<JsonObject> {
  const { version, upload, policy } = await policies.show(slot, number)
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(policy)
  const signerTrusted = hasTrustedSigner(version, await trustedNow(signers))
  return { slot, version: describeVersion(version), signerTrusted, upload: toBase64(upload), text }
}

/** What changed by whole lines; the lines of both texts can be read out of it. */
export async function compareVersions(
  policies: AdministeredPolicies,
  slot: string,
  from: number,
  to: number,
): Promise<JsonObject> {
  const compared = await policies.compare(slot, from, to)
  const lines = compared.lines.map(({ is, line }) => ({ is, line }))
  return { slot, from: describeInList(compared.from), to: describeInList(compared.to), lines }
}

/** Makes a policy the active one (POL-709). One that does not load is refused with all diagnostics. */
export async function setPolicy(
  policies: AdministeredPolicies,
  slot: string,
  upload: Uint8Array,
  by: string,
): Promise<JsonObject | Refusal> {
  return answerOutcome(slot, await policies.set(slot, upload, by))
}

/** Makes a former version the active one again, by the rules of today. */
export async function restorePolicy(
  policies: AdministeredPolicies,
  slot: string,
  { number }: JsonObject,
  by: string,
): Promise<JsonObject | Refusal> {
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 1) {
    throw invalidField('number', 'is not the number of a version')
  }
  return answerOutcome(slot, await policies.restore(slot, number, by))
}

/**
 * Makes the shipped default the active policy (POL-904). Without a JWS only as long as no signer is trusted; the book
 * judges that in the same step in which it writes, so that no signer who is added meanwhile is passed by.
 */
export async function resetPolicy(
  policies: AdministeredPolicies,
  slot: string,
  { jws }: JsonObject,
  by: string,
): Promise<JsonObject> {
  if (jws !== undefined && typeof jws !== 'string') throw invalidField('jws', 'is not a text')
  await requireKnown(policies, slot)
  try {
    return { slot, changed: await policies.reset(slot, jws ?? encodeUnsignedReset(), by) }
  } catch (error) {
    if (!(error instanceof AttestdError) || error.code !== 'POLICY_SIGNER_REQUIRED') throw error
    const says = `${slot} can be reset by a signed reset alone: signers are trusted`
    throw administrationErrors.error('ADMINISTRATION_RESET_UNSIGNED', says, { facts: { field: 'jws' }, cause: error })
  }
}

/** Whoever mistypes an id is not to read that it has no history. */
async function requireKnown(policies: AdministeredPolicies, slot: string): Promise<void> {
  if (hasShippedDefault(slot) || (await policies.versions(slot)).length > 0) return
  const says = `no policy was ever set as ${slot}`
  throw administrationErrors.error('ADMINISTRATION_POLICY_UNKNOWN', says, { facts: { field: 'slot' } })
}

function answerOutcome(slot: string, outcome: AdministeredOutcome): JsonObject | Refusal {
  if (outcome.loaded) {
    const { changed, version, signer } = outcome
    return { slot, changed, version: describeVersion(version), signer: describePolicySigner(signer) }
  }
  const [first] = outcome.diagnostics
  const place = first === undefined ? '' : `: line ${first.line}, column ${first.column}: ${first.id}`
  const error = administrationErrors.error('ADMINISTRATION_POLICY_ERRORS', `the policy does not load${place}`)
  return new Refusal(error, { field: 'body', diagnostics: describeDiagnostics(outcome.diagnostics) })
}
