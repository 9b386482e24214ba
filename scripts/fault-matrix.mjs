// `npm run fault-matrix`: puts the agent to every fault of the matrix and writes docs/fault-matrix.md.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

prepare('test')
const vitest = join(root, 'node_modules/.bin/vitest')
const { status } = spawnSync(vitest, ['run', 'test/faults/matrix', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ATTESTD_FAULT_MATRIX: 'write' },
})
process.exit(status ?? 1)
