import { Command } from 'commander'
import { AttestdError } from '../../base/errors.ts'
import { acceptPolicy, inspectPolicyUpload, parsePolicy } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import { type PolicySource, readPolicyFile } from '../policy-tools/policy-source.ts'
import { bundleDocument, renderBundleParts } from '../presentation/policy-bundle.ts'
import { inspectionDocument, type JudgedUpload, renderInspection } from '../presentation/policy-inspection.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { readCertificates } from '../wiring/trust-files.ts'

interface InspectOptions {
  readonly signer?: string[]
  readonly json?: boolean
}

type Refusal = JudgedUpload['problems'][number]

/** What a verifier with these signers says beyond what is wrong in any case. */
async function refusalBySigners(upload: Uint8Array, files: readonly string[] | undefined): Promise<Refusal | null> {
  if (files === undefined) return null
  const trusted = await readCertificates(files)
  try {
    acceptPolicy(upload, trusted)
    return null
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return { rule: String(error.facts['rule'] ?? ''), message: error.message, remedy: error.remedy }
  }
}

async function judge(upload: Uint8Array, { signer }: InspectOptions): Promise<JudgedUpload> {
  const inspection = inspectPolicyUpload(upload)
  const refusal = await refusalBySigners(upload, signer)
  const isNew = refusal !== null && !inspection.problems.some(({ message }) => message === refusal.message)
  const problems = isNew ? [...inspection.problems, refusal] : inspection.problems
  const { policy } = inspection
  return { ...inspection, problems, diagnostics: policy === null ? [] : (parsePolicy(policy).diagnostics ?? []) }
}

async function inspectCompiled(source: PolicySource, { signer, json }: InspectOptions, io: CommandIo): Promise<void> {
  if (signer !== undefined) throw agentErrors.error('USAGE', `--signer is for texts: ${source.file} is a Rego bundle`)
  const { inspectBundle } = await import('../policy-tools/examine-bundle.ts')
  const inspected = await inspectBundle(source)
  io.out(json ? `${JSON.stringify(bundleDocument(inspected))}\n` : renderBundleParts(inspected, io))
  const { problem } = inspected
  if (problem !== null) {
    throw agentErrors.error('POLICY_REFUSED', `${source.file}: ${problem.code}`, { remedy: problem.remedy })
  }
}

/** `attestd policy inspect FILE`: what is in a policy JWS, of which nothing is trusted (POL-701 to POL-707). */
export function policyInspectCommand(io: CommandIo): Command {
  return new Command('inspect')
    .description(
      'decode a policy JWS or a Rego bundle without trusting it, and say what a strict verifier would refuse',
    )
    .argument('<file>', 'the JWS, policy text or Rego bundle, - for standard input')
    .option('--signer <file...>', 'certificates of trusted signers: judge it as a verifier does that has these')
    .option('--json', 'print it as a JSON object')
    .action(async (file: string, options: InspectOptions) => {
      const source = await readPolicyFile(file)
      if (source.compiled) return inspectCompiled(source, options, io)
      const judged = await judge(source.bytes, options)
      if (options.json) io.out(`${JSON.stringify(inspectionDocument(judged))}\n`)
      else io.out(renderInspection(judged, source.file, io))
      const wrong = [...judged.problems.map(({ rule }) => rule), ...judged.diagnostics.map(({ id }) => id)]
      if (wrong.length > 0) throw agentErrors.error('POLICY_REFUSED', `${source.file}: ${wrong.join(', ')}`)
    })
}
