// `npm start`: prepares the machine, builds, and runs the demonstration. `--once` ends after showing the token.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

prepare('start')
const demo = spawn(process.execPath, [join(root, 'dist/mocks/demo/main.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => demo.kill(signal))
demo.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
