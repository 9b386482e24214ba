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
import { isCompiledPolicy } from '../../policies/rego/bundle-form.ts'
import { invalidAt } from '../configuration/load.ts'
import { type LoadedConfiguration, type LoadedFile, readGuardedFile } from '../configuration/read.ts'
import type { AppraisalPolicy, BundledPolicy, TextPolicy } from '../embedded/appraisal-policies.ts'
import { builtinPolicyId } from '../embedded/builtin-policy.ts'
import type { PolicySettings } from './policies-of-guest.ts'
import type { BundleEngine, PolicyFile } from './policy-bundles.ts'
import { readCertificates } from './trust-files.ts'

const utf8 = new TextEncoder()
/** A byte order mark stays in the text: policies may begin with one, and it counts in their hash. */
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const mostDiagnostics = 5
/** Each has a thread while it is asked. */
const mostBundles = 8

function policyOf(id: string, text: Uint8Array, { policy }: ParsedPolicy): TextPolicy {
  if (policy === undefined) throw new TypeError(`policy ${id} does not load`)
  return { id, hash: policyDigest(text), text: strictText.decode(text), documents: asksForDocuments(policy) }
}

function shippedPolicy({ name, text }: ShippedPolicy): TextPolicy {
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

/** Gives what is wrong with one file in the words of the configuration that names it. */
async function readText({ id, file }: PolicyFile, signers: TrustedSigners): Promise<TextPolicy | string> {
  try {
    const bytes = await readGuardedFile(file)
    if (isCompiledPolicy(bytes)) return `${file} is no text but a compiled policy; say engine = "rego-wasm" beside it`
    const { policy: text } = acceptPolicy(bytes, signers)
    const parsed = parsePolicy(text)
    return parsed.policy === undefined ? shownDiagnostics(parsed, text, file) : policyOf(id, text, parsed)
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return error.message.startsWith(file) ? error.message : `${file}: ${error.message}`
  }
}

type Files = readonly PolicyFile[]
/** Which configuration it is does not matter: places in it are named. */
type Loaded = LoadedFile<unknown>

/** The engine of bundles is loaded where there is one. */
async function readBundle(file: PolicyFile, sha256: string, engine?: BundleEngine): Promise<BundledPolicy | string> {
  const { openBundle } = await import('./policy-bundles.ts')
  return openBundle(file, sha256, engine)
}

/** A key of the other engine has no effect, and whoever wrote it counts on one. Gives the key and what is wrong with it. */
function misplacedKey(file: PolicyFile): readonly [key: keyof PolicyFile, says: string] | undefined {
  if (file.engine === 'rego-wasm') {
    if (file.sha256 !== undefined) return undefined
    return ['sha256', `is missing: a bundle is pinned by its SHA-256 (sha256sum ${file.file})`]
  }
  const key = (['sha256', 'require', 'references'] as const).find((name) => file[name] !== undefined)
  return key === undefined ? undefined : [key, 'is for bundles alone, which have engine = "rego-wasm"']
}

function requireKeysOfEngine({ file, text }: Loaded, files: Files): void {
  let bundles = 0
  for (const [at, entry] of files.entries()) {
    const [key, says] = misplacedKey(entry) ?? []
    if (key !== undefined) throw invalidAt(file, text, ['policies', 'files', at, key], says ?? '')
    if (entry.engine === 'rego-wasm' && ++bundles > mostBundles) {
      throw invalidAt(file, text, ['policies', 'files', at, 'engine'], `is one bundle more than ${mostBundles}`)
    }
  }
}

/** An id stands for one text in every token: not for that of another file, nor for what the product ships. */
function requireOwnIds({ file, text }: Loaded, files: Files): void {
  files.forEach(({ id }, at) => {
    const isTaken = id === builtinPolicyId || id === 'default' || id.startsWith('attestd-')
    if (!isTaken && files.findIndex((other) => other.id === id) === at) return
    const says = isTaken ? 'is a name of a policy of the product' : 'names another file already'
    throw invalidAt(file, text, ['policies', 'files', at, 'id'], says)
  })
}

async function readFiles(
  loaded: Loaded,
  files: Files,
  signers: TrustedSigners,
  engine: BundleEngine | undefined,
): Promise<readonly AppraisalPolicy[]> {
  const read: AppraisalPolicy[] = []
  for (const [at, file] of files.entries()) {
    const { sha256 = '' } = file
    const policy = await (file.engine === 'text' ? readText(file, signers) : readBundle(file, sha256, engine))
    if (typeof policy === 'string') {
      throw invalidAt(loaded.file, loaded.text, ['policies', 'files', at, 'file'], policy)
    }
    read.push(policy)
  }
  return read
}

/**
 * The policies of `policies.files`, all of them parsed and their signatures verified by `signers`, which are paths; bundles
 * are opened by `engine`. Throws `CONFIGURATION_INVALID` with file, key and what is wrong in which line of the policy.
 */
export async function readPolicyFiles(
  loaded: Loaded,
  { files, signers }: { readonly files: Files; readonly signers: readonly string[] },
  engine?: BundleEngine,
): Promise<readonly AppraisalPolicy[]> {
  requireOwnIds(loaded, files)
  requireKeysOfEngine(loaded, files)
  return readFiles(loaded, files, await readCertificates(signers), engine)
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
 * The appraisal policies of a configuration, all of them parsed and their signatures verified, bundles opened by `engine`;
 * null without the section.
 * Throws `CONFIGURATION_INVALID` with file, key and what is wrong in which line of the policy: a policy that does not load
 * never replaces one that does (POL-709).
 */
export async function readPolicySettings(
  loaded: LoadedConfiguration,
  engine?: BundleEngine,
): Promise<PolicySettings | null> {
  const { policies: section } = loaded.configuration
  if (section === undefined) return null
  const own = await readPolicyFiles(loaded, section, engine)
  const tdx = namedPolicies(loaded, 'tdx', section.tdx, own)
  const tpm = namedPolicies(loaded, 'tpm', section.tpm, own)
  const shipped = [...(tdx ?? []), ...(tpm ?? [])].filter(({ id }) => own.every((policy) => policy.id !== id))
  const defaultFor = (kinds: readonly EvidenceKind[]) => shippedPolicy(defaultPolicyFor(kinds))
  return { configured: [...own, ...shipped], tdx, tpm, defaultFor }
}
