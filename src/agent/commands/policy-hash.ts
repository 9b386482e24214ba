import { Command } from 'commander'
import { policyDigest as digestOf, inspectPolicyUpload } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import { type PolicyFile, readPolicyFile, requireOneStandardInput } from '../policy-tools/policy-source.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'

/** By which tokens and configurations name it; null what a policy of this kind has not. */
interface PolicyHashes {
  readonly file: string
  readonly policy_hash: string | null
  readonly sha256: string
  readonly policy_token_hash: string | null
}

/** Of the text, also where it comes in a JWS; the hash of a JWS besides. Of a bundle that of its file (POL-711). */
function hashesOf({ file, bytes, compiled }: PolicyFile): PolicyHashes {
  if (compiled) return { file, policy_hash: null, sha256: digestOf(bytes), policy_token_hash: null }
  const { policyHash, policyDigest, policyTokenHash, problems } = inspectPolicyUpload(bytes)
  if (policyHash === null || policyDigest === null) {
    const [{ rule, message, remedy } = { rule: '', message: '', remedy: '' }] = problems
    throw agentErrors.error('POLICY_REFUSED', `${file}: there is no policy in it: ${rule}: ${message}`, { remedy })
  }
  return { file, policy_hash: policyHash, sha256: policyDigest, policy_token_hash: policyTokenHash }
}

function render({ file, policy_hash, sha256, policy_token_hash }: PolicyHashes): string {
  const policy = policy_hash === null ? '' : `  x-ms-policy-hash        ${policy_hash}\n`
  const token = policy_token_hash === null ? '' : `  x-ms-policy-token-hash  ${policy_token_hash}\n`
  return `${escaped(file)}\n  sha256                  ${sha256}\n${policy}${token}`
}

/** `attestd policy hash FILE…`: the names by which tokens say which policy it was (POL-710, POL-711). */
export function policyHashCommand(io: CommandIo): Command {
  return new Command('hash')
    .description('print the hashes by which tokens name a policy; one space more makes another policy')
    .argument('<file...>', 'policies, as text, JWS or Rego bundle, - for standard input')
    .option('--json', 'print them as a JSON array')
    .action(async (files: string[], { json }: { json?: boolean }) => {
      requireOneStandardInput(files)
      const hashes: PolicyHashes[] = []
      for (const file of files) hashes.push(hashesOf(await readPolicyFile(file)))
      io.out(json ? `${JSON.stringify(hashes)}\n` : hashes.map(render).join(''))
    })
}
