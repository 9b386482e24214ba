// `npm run bench`: every hot path against a named peer and a floor in the same run; prints ratios, fails nothing.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

prepare('test')
spawnSync(join(root, 'node_modules/.bin/vitest'), ['bench', '--run', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
