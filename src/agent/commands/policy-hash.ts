import { Command } from 'commander'
import { inspectPolicyUpload } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import { type PolicySource, readPolicySource, requireOneStandardInput } from '../policy-tools/policy-source.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'

/** Of the text, also where it comes in a JWS; the hash of a JWS besides. Null where there is no text in it. */
function hashesOf({ file, bytes }: PolicySource) {
  const { policyHash, policyDigest, policyTokenHash, problems } = inspectPolicyUpload(bytes)
  if (policyHash === null || policyDigest === null) {
    const [{ rule, message, remedy } = { rule: '', message: '', remedy: '' }] = problems
    throw agentErrors.error('POLICY_REFUSED', `${file}: there is no policy in it: ${rule}: ${message}`, { remedy })
  }
  return { file, policy_hash: policyHash, sha256: policyDigest, policy_token_hash: policyTokenHash }
}

function render({ file, policy_hash, sha256, policy_token_hash }: ReturnType<typeof hashesOf>): string {
  const token = policy_token_hash === null ? '' : `  x-ms-policy-token-hash  ${policy_token_hash}\n`
  return `${escaped(file)}\n  sha256                  ${sha256}\n  x-ms-policy-hash        ${policy_hash}\n${token}`
}

/** `attestd policy hash FILE…`: the names by which tokens say which policy it was (POL-710, POL-711). */
export function policyHashCommand(io: CommandIo): Command {
  return new Command('hash')
    .description('print the hashes by which tokens name a policy; one space more makes another policy')
    .argument('<file...>', 'policies, as text or JWS, - for standard input')
    .option('--json', 'print them as a JSON array')
    .action(async (files: string[], { json }: { json?: boolean }) => {
      requireOneStandardInput(files)
      const hashes: ReturnType<typeof hashesOf>[] = []
      for (const file of files) hashes.push(hashesOf(await readPolicySource(file)))
      io.out(json ? `${JSON.stringify(hashes)}\n` : hashes.map(render).join(''))
    })
}
