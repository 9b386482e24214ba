import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { JsonObject } from '../../base/json.ts'
import { builtInsNotOffered } from '../../policies/rego/built-ins.ts'
import type { RegoBundle } from '../../policies/rego/bundle.ts'
import { requireEntrypoints } from '../../policies/rego/entrypoints.ts'
import { regoErrors } from '../../policies/rego/errors.ts'
import { encodeInput, UnfitInput } from '../../policies/rego/input-text.ts'
import { joinEvaluations, type RegoEvaluation, regoError } from '../../policies/rego/rego-evaluation.ts'
import { type RegoEvidence, regoInputs } from '../../policies/rego/rego-input.ts'
import { longestResult, type RegoEntrypoint, readRegoResults } from '../../policies/rego/rego-results.ts'
import { type RegoClass, type TrustName, usuallyRequired } from '../../policies/rego/trust-claims.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { type BundleReading, readBundleFile } from './bundle-file.ts'
import { RegoThread } from './rego-thread.ts'
import type { RegoInventory, RegoSetup } from './rego-worker.ts'

/** POL-960. */
export interface RegoPolicyConfig {
  /** Path of a `bundle.tar.gz` or of a bare `policy.wasm`, at most 8 MiB. */
  readonly bundle: string
  /** SHA-256 of the file, 64 hexadecimal digits. */
  readonly sha256: string
  /** What the policy is about: the guest, or each device of a kind. */
  readonly class: RegoClass
  /** What must be affirming; default for `cpu`: hardware, executables, configuration; else hardware. */
  readonly require?: readonly TrustName[]
  /** What `query_reference_value` gives, by name. */
  readonly references?: JsonObject
  /** Which names are reserved (POL-427); default `attestd`. */
  readonly profile?: PolicyProfile
  /** Entrypoints that must exist, and are all that is asked; default: those of ours that the policy has. */
  readonly entrypoints?: readonly RegoEntrypoint[]
}

/** Where the engine comes from, and how bundles are read. */
export interface RegoEngine extends BundleReading {
  /** Path of the library; throws where it is not installed. Default: as this package finds it. */
  readonly locate?: () => string
  /** The compiled `rego-worker`. */
  readonly entry?: URL
}

export interface RegoPolicy extends AsyncDisposable {
  /** SHA-256 of the bundle file, lower-case hexadecimal: `policy-hash` of evaluation reports (POL-711). */
  readonly hash: string
  readonly revision: string | null
  /** Built-ins that the policy was compiled with and does not get; with any, every verdict is *error* (POL-963). */
  readonly notOffered: readonly string[]
  /** What it is asked for at each evaluation. */
  readonly entrypoints: readonly RegoEntrypoint[]
  /** What must be affirming. */
  readonly required: readonly TrustName[]
  /**
   * What the policy says about verified evidence. `now` is the time of the appraisal, in milliseconds since the epoch.
   * Never rejects for what the policy does: an exception, a missing result or no answer within a second is verdict
   * *error* (POL-961). The evidence is believed; extensions are what the policy says, and cannot have reserved names.
   */
  evaluate(evidence: RegoEvidence, now: number): Promise<RegoEvaluation>
  /**
   * The same about input documents that were made and encoded elsewhere (`encodeInput`); at least one. They must be JSON: of
   * anything else a policy makes an undefined input, in which every negation holds.
   */
  evaluateInputs(inputs: readonly Uint8Array[], now: number): Promise<RegoEvaluation>
  /** Gives its thread back, if nobody waits for an answer; the next evaluation starts another. */
  rest(): void
}

const require = createRequire(import.meta.url)

/** Asked for when a policy is opened, and not before: the package is optional. */
const installed = () => require.resolve('@open-policy-agent/opa-wasm')

function locate({ locate: library = installed }: RegoEngine): string {
  try {
    return pathToFileURL(library()).href
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause
    throw regoErrors.error('REGO_ENGINE_ABSENT', '@open-policy-agent/opa-wasm is not installed', { cause })
  }
}

/** Types of Node 20 do not speak of WebAssembly, which it has. */
interface Compiler {
  readonly compile: (bytes: Uint8Array) => Promise<object>
}
const { WebAssembly: compiler } = globalThis as unknown as { readonly WebAssembly: Compiler }

/** Off the event loop, and once: threads share what was compiled. */
async function compile(wasm: Uint8Array): Promise<object> {
  try {
    return await compiler.compile(wasm)
  } catch (cause) {
    if (!(cause instanceof Error) || cause.name !== 'CompileError') throw cause
    throw regoErrors.error('REGO_BUNDLE_UNREADABLE', `policy.wasm: ${cause.message}`, { cause })
  }
}

function referenceTexts(references: JsonObject): ReadonlyMap<string, string> {
  return new Map(Object.entries(references).map(([name, value]) => [name, JSON.stringify(value)]))
}

async function setUp(bundle: RegoBundle, config: RegoPolicyConfig, engine: RegoEngine): Promise<RegoSetup> {
  const library = locate(engine)
  const module = await compile(bundle.wasm)
  const references = referenceTexts(config.references ?? {})
  return { library, module, data: bundle.data, references, memory: bundle.module.memory }
}

/** Runs what the policy says of itself, under the same limits as an evaluation. */
async function inspect(thread: RegoThread): Promise<RegoInventory> {
  const answer = await thread.perform({ do: 'inspect' })
  if ('inventory' in answer) return answer.inventory
  const problem = 'failure' in answer ? answer.failure : 'no answer'
  const isOfEngine = 'failure' in answer && answer.isOfEngine === true
  throw regoErrors.error(isOfEngine ? 'REGO_ENGINE_ABSENT' : 'REGO_BUNDLE_UNREADABLE', problem)
}

interface OpenedParts {
  readonly thread: RegoThread
  readonly regoClass: RegoClass
  readonly required: readonly TrustName[]
  readonly profile: PolicyProfile
  readonly entrypoints: readonly RegoEntrypoint[]
  readonly hash: string
  readonly revision: string | null
  readonly notOffered: readonly string[]
}

class OpenedRegoPolicy implements RegoPolicy {
  readonly hash: string
  readonly revision: string | null
  readonly notOffered: readonly string[]
  readonly entrypoints: readonly RegoEntrypoint[]
  readonly required: readonly TrustName[]
  #parts: OpenedParts

  constructor(parts: OpenedParts) {
    this.hash = parts.hash
    this.revision = parts.revision
    this.notOffered = parts.notOffered
    this.entrypoints = parts.entrypoints
    this.required = parts.required
    this.#parts = parts
  }

  async evaluate(evidence: RegoEvidence, now: number): Promise<RegoEvaluation> {
    const inputs = this.#inputs(evidence)
    return 'verdict' in inputs ? inputs : this.evaluateInputs(inputs, now)
  }

  async evaluateInputs(inputs: readonly Uint8Array[], now: number): Promise<RegoEvaluation> {
    if (this.notOffered.length > 0) {
      return regoError('POL-963', `the policy needs built-ins that are not offered: ${this.notOffered.join(', ')}`)
    }
    const evaluations: RegoEvaluation[] = []
    for (const input of inputs) evaluations.push(await this.#evaluateOne(input, now))
    return joinEvaluations(evaluations)
  }

  rest(): void {
    this.#parts.thread.rest()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.thread[Symbol.asyncDispose]()
  }

  #inputs(evidence: RegoEvidence): readonly Uint8Array[] | RegoEvaluation {
    const { regoClass } = this.#parts
    try {
      const inputs = regoInputs(regoClass, evidence).map(encodeInput)
      return inputs.length > 0 ? inputs : regoError('POL-962', `the evidence has no device of class ${regoClass}`)
    } catch (error) {
      if (error instanceof UnfitInput) return regoError('POL-606', error.message)
      throw error
    }
  }

  async #evaluateOne(input: Uint8Array, now: number): Promise<RegoEvaluation> {
    const { thread, entrypoints, required, profile } = this.#parts
    const answer = await thread.perform({ do: 'evaluate', input, entrypoints, now, longestResult })
    if (!('results' in answer)) return regoError('POL-961', 'failure' in answer ? answer.failure : 'no answer')
    const results = new Map(entrypoints.map((entrypoint, at) => [entrypoint, answer.results[at] ?? '']))
    return readRegoResults(results, { required, profile })
  }
}

/**
 * Opens a policy that `opa build -t wasm` compiled (POL-960 to POL-964): reads and checks the bundle, compiles it, and asks it
 * for its entrypoints. It runs in a thread of its own, which ends with the policy. `engine` is the installed library.
 * Throws `REGO_SOURCE`, `REGO_BUNDLE_HASH`, `REGO_BUNDLE_UNREADABLE`, `REGO_ENTRYPOINT_MISSING`, `REGO_ENGINE_ABSENT`,
 * `INPUT_UNREADABLE` and `MalformedError`, each before any evidence is judged.
 */
export async function openRegoPolicy(config: RegoPolicyConfig, engine: RegoEngine = {}): Promise<RegoPolicy> {
  const { bundle, hash } = await readBundleFile(config.bundle, config.sha256, engine)
  const thread = new RegoThread(await setUp(bundle, config, engine), engine.entry)
  try {
    const { entrypoints: declared, builtIns } = await inspect(thread)
    const entrypoints = requireEntrypoints(
      { module: declared, manifest: bundle.entrypoints },
      config.entrypoints ?? null,
    )
    const required = config.require ?? usuallyRequired(config.class)
    const notOffered = builtInsNotOffered(builtIns)
    const { class: regoClass, profile = 'attestd' } = config
    const { revision } = bundle
    return new OpenedRegoPolicy({ thread, regoClass, required, profile, entrypoints, hash, revision, notOffered })
  } catch (error) {
    await thread[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Refuses a policy that needs functions which no policy gets: every verdict of it would be *error* (POL-963). Throws
 * `REGO_FUNCTION_ABSENT`, and closes it.
 */
export async function requireOffered(policy: RegoPolicy): Promise<RegoPolicy> {
  const { notOffered } = policy
  if (notOffered.length === 0) return policy
  await policy[Symbol.asyncDispose]()
  throw regoErrors.error('REGO_FUNCTION_ABSENT', `the policy needs ${notOffered.join(', ')}`)
}
