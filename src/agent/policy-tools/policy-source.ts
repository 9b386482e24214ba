import { parsePolicy } from '../../policies/index.ts'
import type { Policy } from '../../policies/language/syntax.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'

/** Sixteen times what a policy may have (POL-601): beyond that nobody could have meant a policy. */
const largestPolicy = 1 << 20

/** A policy file as it was read. */
export interface PolicySource {
  /** As the command line names it; for messages. */
  readonly file: string
  readonly bytes: Uint8Array
}

/** Reads a policy, `-` for standard input. Throws `INPUT_UNREADABLE`. */
export async function readPolicySource(path: string): Promise<PolicySource> {
  return { file: path === '-' ? '<standard input>' : path, bytes: await readInput(path, largestPolicy) }
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
