// `npm test`: prepares the machine and runs every test; the last line is `N passed, N failed[, N skipped]`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

prepare('test')
const folder = mkdtempSync(join(tmpdir(), 'attestd-test-'))
const report = join(folder, 'report.json')
const vitest = join(root, 'node_modules/.bin/vitest')
const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)]
const { status } = spawnSync(vitest, args, { cwd: root, stdio: 'inherit' })

let passed = 0
let failed = 0
let skipped = 0
try {
  const results = JSON.parse(readFileSync(report, 'utf8'))
  passed = results.numPassedTests
  failed = results.numFailedTests
  skipped = results.numPendingTests + results.numTodoTests
  // A file that does not load has no tests to count, and still is a failure.
  if (failed === 0) failed = results.testResults.filter((file) => file.status === 'failed').length
} catch {
  failed = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (status !== 0 && failed === 0) failed = 1
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
