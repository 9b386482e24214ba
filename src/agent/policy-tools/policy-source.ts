import { MalformedError } from '../../base/errors.ts'
import { parsePolicy } from '../../policies/index.ts'
import type { Policy } from '../../policies/language/syntax.ts'
import { formOfBundle, isCompiledPolicy } from '../../policies/rego/bundle-form.ts'
import { regoErrors } from '../../policies/rego/errors.ts'
import { agentErrors } from '../errors.ts'
import { readInput, tooLarge } from '../input-file.ts'

/** Of a compiled bundle (POL-960). */
const largestFile = 8 << 20

/** Sixteen times what a policy may have (POL-601): beyond that nobody could have meant a policy. */
const largestPolicy = 1 << 20

/** A policy file as it was read. */
export interface PolicySource {
  /** As the command line names it; for messages. */
  readonly file: string
  readonly bytes: Uint8Array
}

/** A policy file, of which is known what it is. */
export interface PolicyFile extends PolicySource {
  /** A compiled Rego policy, packed or bare; else a text, or what should be one. */
  readonly compiled: boolean
}

export const inputInvalid = (path: string, says: string) => new MalformedError({ path }, says)

/**
 * Reads a policy of either engine, `-` for standard input. What a file begins with says what it is: no text begins like a
 * bundle. Throws `INPUT_UNREADABLE`, and `REGO_SOURCE` for what nothing here compiles.
 */
export async function readPolicyFile(path: string): Promise<PolicyFile> {
  const [file, bytes] = [path === '-' ? '<standard input>' : path, await readInput(path, largestFile)]
  const compiled = isCompiledPolicy(bytes)
  if (compiled) return { file, bytes, compiled }
  if (bytes.length > largestPolicy) {
    throw tooLarge(path, largestPolicy)
  }
  if (formOfBundle(bytes, '') === 'source') throw regoErrors.error('REGO_SOURCE', `${file} is Rego source`)
  return { file, bytes, compiled }
}

/** Reads a policy of the policy language, `-` for standard input. Throws as `readPolicyFile`, and `POLICY_COMPILED`. */
export async function readPolicySource(path: string): Promise<PolicySource> {
  const { compiled, ...source } = await readPolicyFile(path)
  if (!compiled) return source
  throw agentErrors.error('POLICY_COMPILED', `${source.file} is a compiled Rego bundle and has no text`)
}

/** Standard input can be read once. Throws `USAGE`. */
export function requireOneStandardInput(paths: readonly (string | undefined)[]): void {
  if (paths.filter((path) => path === '-').length > 1) {
    throw agentErrors.error('USAGE', 'standard input (-) can be named once')
  }
}

export interface LoadOptions {
  readonly lenient?: boolean
}

/** The policy of a file that has to load. Throws `POLICY_INVALID` with the place of the first error. */
export function requirePolicy({ file, bytes }: PolicySource, { lenient = false }: LoadOptions = {}): Policy {
  const { policy, diagnostics } = parsePolicy(bytes, { lenient })
  if (policy !== undefined) return policy
  const [first] = diagnostics
  const says = `${file}:${first?.line}:${first?.column}: ${first?.id}: ${first?.message}`
  throw agentErrors.error('POLICY_INVALID', says, { remedy: first?.hint ?? `attestd policy check ${file}` })
}
