import { Command } from 'commander'
import { agentErrors } from '../errors.ts'
import { policyDifferences } from '../policy-tools/policy-differences.ts'
import { readPolicySource, requireOneStandardInput, requirePolicy } from '../policy-tools/policy-source.ts'
import { policyDifferencesDocument, renderPolicyDifferences } from '../presentation/policy-differences.ts'
import type { CommandIo } from '../presentation/terminal.ts'

interface DiffOptions {
  readonly exitCode?: boolean
  readonly lenient?: boolean
  readonly json?: boolean
}

/** `attestd policy diff A B`: rules added, removed, changed and moved. */
export function policyDiffCommand(io: CommandIo): Command {
  return new Command('diff')
    .description('show which rules two policies do not share; layout, comments and names of identifiers do not count')
    .argument('<before>', 'the first policy, - for standard input')
    .argument('<after>', 'the second policy')
    .option('--exit-code', 'exit with 1 if they say different things')
    .option('--lenient', 'accept words in the wrong case')
    .option('--json', 'print the differences as a JSON object')
    .action(async (first: string, second: string, options: DiffOptions) => {
      requireOneStandardInput([first, second])
      const sources = { before: await readPolicySource(first), after: await readPolicySource(second) }
      const found = policyDifferences(requirePolicy(sources.before, options), requirePolicy(sources.after, options))
      if (options.json) io.out(`${JSON.stringify(policyDifferencesDocument(found, sources))}\n`)
      else io.out(renderPolicyDifferences(found, sources, io))
      if (options.exitCode && found.rules.length + (found.version === null ? 0 : 1) > 0) {
        throw agentErrors.error('POLICIES_DIFFER', `${first} and ${second} say different things`)
      }
    })
}
