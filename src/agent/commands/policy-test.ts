import { Command } from 'commander'
import { agentErrors } from '../errors.ts'
import { requireOneStandardInput } from '../policy-tools/policy-source.ts'
import { readTestFile } from '../policy-tools/test-file.ts'
import { runPolicyTests, type TestResult } from '../policy-tools/test-runner.ts'
import { renderTap, renderTestResult, renderTestSummary, testResultsDocument } from '../presentation/policy-tests.ts'
import type { CommandIo } from '../presentation/terminal.ts'

interface TestOptions {
  readonly json?: boolean
  readonly tap?: boolean
}

/** People see each result as it comes; machines get one document. */
async function runFiles(paths: readonly string[], { json, tap }: TestOptions, io: CommandIo): Promise<TestResult[]> {
  const files = await Promise.all(paths.map(readTestFile))
  const results: TestResult[] = []
  for (const file of files) {
    for await (const result of runPolicyTests(file)) {
      results.push(result)
      if (!json && !tap) io.out(renderTestResult(result, io))
    }
  }
  return results
}

function showEnd(results: readonly TestResult[], { json, tap }: TestOptions, io: CommandIo): void {
  if (json) io.out(`${JSON.stringify(testResultsDocument(results))}\n`)
  else io.out(tap ? renderTap(results) : renderTestSummary(results, io))
}

/** `attestd policy test FILE…`: what policies must and must not permit, as files beside them (POL-830). */
export function policyTestCommand(io: CommandIo): Command {
  return new Command('test')
    .description('run test files: do policies load, permit, deny and issue as their tests say?')
    .argument('<file...>', 'test files (*.policytest.json), - for standard input')
    .option('--json', 'print the results as a JSON object')
    .option('--tap', 'print the results in the Test Anything Protocol')
    .action(async (paths: string[], options: TestOptions) => {
      requireOneStandardInput(paths)
      if (options.json && options.tap) throw agentErrors.error('USAGE', '--json and --tap contradict each other')
      const results = await runFiles(paths, options, io)
      showEnd(results, options, io)
      const failed = results.filter(({ problems }) => problems.length > 0)
      if (failed.length === 0) return
      const names = failed.slice(0, 3).map(({ name }) => name)
      const more = failed.length > names.length ? ', …' : ''
      throw agentErrors.error(
        'POLICY_TESTS_FAILED',
        `${failed.length} of ${results.length}: ${names.join(', ')}${more}`,
      )
    })
}
