// `npm run check`: types, lint, unused code, tests, package checks; in under a minute, all problems at once.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { build, root } from './prepare.mjs'

const bin = (name) => join(root, 'node_modules/.bin', name)

function run(title, command, args, environment = {}) {
  return new Promise((resolve) => {
    const started = Date.now()
    let output = ''
    const env = { ...process.env, ...environment }
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('close', (code) => {
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
      if (code !== 0) console.log(output.trimEnd())
      resolve(code === 0)
    })
  })
}

build()
const first = await Promise.all([
  run('types', bin('tsc'), ['-p', 'tsconfig.json']),
  run('lint', bin('biome'), ['check', '.', '--error-on-warnings']),
  run('unused code', bin('knip'), ['--no-progress']),
  run('package: publint', bin('publint'), ['--strict']),
  run('package: types', bin('attw'), ['--pack', '.', '--profile', 'esm-only', '--quiet']),
])
// In one process: a process for each of the many small files would cost more than their tests.
const quick = ['run', '--reporter=dot', '--no-isolate']
const tests = await run('quick tests (all of them: npm test)', bin('vitest'), quick, { ATTESTD_TESTS: 'quick' })
process.exit(first.every(Boolean) && tests ? 0 : 1)
