import type { TestProblem, TestResult } from '../policy-tools/test-runner.ts'
import { counted } from './counted.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const longest = 400

function shortened(text: string): string {
  const shown = escaped(text)
  return shown.length <= longest ? shown : `${shown.slice(0, longest)}…`
}

const placeOf = ({ run, note }: TestProblem) =>
  run === null ? 'policy' : `run ${run}${note === null ? '' : ` (${escaped(note)})`}`

function problemLines(problem: TestProblem): string[] {
  return [
    `        ${placeOf(problem)}: ${problem.what}`,
    `            expected  ${shortened(problem.expected)}`,
    `            found     ${shortened(problem.found)}`,
  ]
}

/** A line for a test that passed; what is not as expected for one that failed. */
export function renderTestResult({ name, runs, problems }: TestResult, io: CommandIo): string {
  const isGood = problems.length === 0
  const mark = isGood ? painted(io, 'green', 'ok    ') : painted(io, 'red', 'FAILED')
  const head = `${mark}  ${escaped(name)}${runs === 0 ? '' : ` (${counted(runs, 'run')})`}`
  return `${[head, ...problems.flatMap(problemLines)].join('\n')}\n`
}

export function renderTestSummary(results: readonly TestResult[], io: CommandIo): string {
  const failed = results.filter(({ problems }) => problems.length > 0).length
  const runs = results.reduce((sum, each) => sum + each.runs, 0)
  const verdict = failed === 0 ? painted(io, 'green', 'all passed') : painted(io, 'red', `${failed} failed`)
  return `${counted(results.length, 'test')}, ${counted(runs, 'run')}: ${verdict}\n`
}

/** `#` begins a directive in a line of TAP, and a backslash escapes. */
const tapText = (text: string) => escaped(text).replace(/[\\#]/g, '\\$&')

/** The YAML of a TAP diagnostic; JSON strings are YAML strings. */
function tapProblem(problem: TestProblem): string[] {
  return [
    `    - at: ${JSON.stringify(placeOf(problem))}`,
    `      what: ${JSON.stringify(problem.what)}`,
    `      expected: ${JSON.stringify(shortened(problem.expected))}`,
    `      found: ${JSON.stringify(shortened(problem.found))}`,
  ]
}

/** Test Anything Protocol, version 14. */
export function renderTap(results: readonly TestResult[]): string {
  const tests = results.flatMap(({ name, problems }, at) => {
    const isGood = problems.length === 0
    const line = `${isGood ? 'ok' : 'not ok'} ${at + 1} - ${tapText(name)}`
    return isGood ? [line] : [line, '  ---', '  problems:', ...problems.flatMap(tapProblem), '  ...']
  })
  return `${['TAP version 14', `1..${results.length}`, ...tests].join('\n')}\n`
}

export function testResultsDocument(results: readonly TestResult[]): Record<string, unknown> {
  const failed = results.filter(({ problems }) => problems.length > 0).length
  return { passed: results.length - failed, failed, tests: results }
}
