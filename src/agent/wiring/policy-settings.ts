import { AttestdError } from '../../base/errors.ts'
import {
  acceptPolicy,
  asksForDocuments,
  defaultPolicies,
  defaultPolicyFor,
  type EvidenceKind,
  type ParsedPolicy,
  parsePolicy,
  policyDigest,
  type ShippedPolicy,
  showDiagnostic,
  type TrustedSigners,
} from '../../policies/index.ts'
import { invalidAt } from '../configuration/load.ts'
import { type LoadedConfiguration, readGuardedFile } from '../configuration/read.ts'
import type { AppraisalPolicy } from '../embedded/appraisal-policies.ts'
import { builtinPolicyId } from '../embedded/builtin-policy.ts'
import type { PolicySettings } from './policies-of-guest.ts'
import { readCertificates } from './trust-files.ts'

const utf8 = new TextEncoder()
/** A byte order mark stays in the text: policies may begin with one, and it counts in their hash. */
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const mostDiagnostics = 5

function policyOf(id: string, text: Uint8Array, { policy }: ParsedPolicy): AppraisalPolicy {
  if (policy === undefined) throw new TypeError(`policy ${id} does not load`)
  return { id, hash: policyDigest(text), text: strictText.decode(text), documents: asksForDocuments(policy) }
}

function shippedPolicy({ name, text }: ShippedPolicy): AppraisalPolicy {
  return policyOf(name, utf8.encode(text), parsePolicy(text))
}

/** Each on a line of its own: file, line, column, rule and what is wrong (POL-802). */
function shownDiagnostics({ diagnostics = [] }: ParsedPolicy, text: Uint8Array, file: string): string {
  const shown = diagnostics.slice(0, mostDiagnostics).map((one) => {
    const [head = ''] = showDiagnostic(one, text, file).split('\n')
    return one.hint === undefined ? head : `${head} (${one.hint})`
  })
  return `does not load:\n${shown.join('\n')}`
}

/** Throws what is wrong with one file in the words of the configuration that names it. */
async function readPolicy(id: string, file: string, signers: TrustedSigners): Promise<AppraisalPolicy | string> {
  try {
    const { policy: text } = acceptPolicy(await readGuardedFile(file), signers)
    const parsed = parsePolicy(text)
    return parsed.policy === undefined ? shownDiagnostics(parsed, text, file) : policyOf(id, text, parsed)
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return error.message.startsWith(file) ? error.message : `${file}: ${error.message}`
  }
}

type Files = NonNullable<LoadedConfiguration['configuration']['policies']>['files']

/** An id stands for one text in every token: not for that of another file, nor for what the product ships. */
function requireOwnIds({ file, text }: LoadedConfiguration, files: Files): void {
  files.forEach(({ id }, at) => {
    const isTaken = id === builtinPolicyId || id.startsWith('attestd-')
    if (!isTaken && files.findIndex((other) => other.id === id) === at) return
    const says = isTaken ? 'is a name of a policy of the product' : 'names another file already'
    throw invalidAt(file, text, ['policies', 'files', at, 'id'], says)
  })
}

async function readFiles(loaded: LoadedConfiguration, files: Files, signers: TrustedSigners) {
  const read: AppraisalPolicy[] = []
  for (const [at, { id, file }] of files.entries()) {
    const policy = await readPolicy(id, file, signers)
    if (typeof policy === 'string') {
      throw invalidAt(loaded.file, loaded.text, ['policies', 'files', at, 'file'], policy)
    }
    read.push(policy)
  }
  return read
}

/** POL-442: by id, and by nothing else. */
function namedPolicies(
  { file, text }: LoadedConfiguration,
  key: 'tdx' | 'tpm',
  ids: readonly string[] | undefined,
  own: readonly AppraisalPolicy[],
): readonly AppraisalPolicy[] | null {
  if (ids === undefined) return null
  return ids.map((id, at) => {
    const invalid = (says: string) => invalidAt(file, text, ['policies', key, at], says)
    if (ids.indexOf(id) !== at) throw invalid(`names ${id} twice`)
    const found = own.find((policy) => policy.id === id)
    if (found !== undefined) return found
    const shipped = defaultPolicies.find(({ name }) => name === id)
    if (shipped === undefined) throw invalid(`is ${id}, neither an id of policies.files nor a shipped policy`)
    return shippedPolicy(shipped)
  })
}

/**
 * The appraisal policies of a configuration, all of them parsed and their signatures verified; null without the section.
 * Throws `CONFIGURATION_INVALID` with file, key and what is wrong in which line of the policy: a policy that does not load
 * never replaces one that does (POL-709).
 */
export async function readPolicySettings(loaded: LoadedConfiguration): Promise<PolicySettings | null> {
  const { policies: section } = loaded.configuration
  if (section === undefined) return null
  requireOwnIds(loaded, section.files)
  const own = await readFiles(loaded, section.files, await readCertificates(section.signers))
  const tdx = namedPolicies(loaded, 'tdx', section.tdx, own)
  const tpm = namedPolicies(loaded, 'tpm', section.tpm, own)
  const shipped = [...(tdx ?? []), ...(tpm ?? [])].filter(({ id }) => own.every((policy) => policy.id !== id))
  const defaultFor = (kinds: readonly EvidenceKind[]) => shippedPolicy(defaultPolicyFor(kinds))
  return { configured: [...own, ...shipped], tdx, tpm, defaultFor }
}
