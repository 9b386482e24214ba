// `npm run fuzz [RUNS] [SEED]`: policies and claims made by chance, a hundred thousand of them; see test/fuzz/main.ts.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { build, root } from './prepare.mjs'

build()
const program = join(root, 'dist/test/fuzz/main.js')
const args = ['--expose-gc', program, ...process.argv.slice(2)]
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
process.exit(status ?? 1)
