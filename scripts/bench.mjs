// `npm run bench`: every hot path against a named peer and a floor in the same run; prints ratios, fails nothing.
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

prepare('test')
const { parseCLI, startVitest } = await import('vitest/node')

/**
 * The built code is measured: what vitest loads itself calls through its own module records and runs up to twice as
 * long. So imports of sources go to `dist`, from where Node loads them.
 */
const builtCode = {
  resolve: {
    alias: [{ find: /^(?:\.\.\/)+((?:src|native|mocks)\/.*)\.ts$/, replacement: `${join(root, 'dist')}/$1.js` }],
  },
  test: { server: { deps: { external: [/\/dist\//] } } },
}

const { filter, options } = parseCLI(['vitest', 'bench', ...process.argv.slice(2)])
const vitest = await startVitest(
  'benchmark',
  filter,
  { ...options, root, run: true, fileParallelism: false },
  builtCode,
)
await vitest.close()
process.exitCode = 0
