import { configDefaults, defineConfig } from 'vitest/config'

/** What takes long: `npm test` runs it, `npm run check` (ATTESTD_TESTS=quick) leaves it out. */
const slow = [
  'test/{conformance,e2e,faults}/**',
  'src/issuer/key-ring.test.ts',
  'src/passport/model.test.ts',
  'src/platform/{peer-credentials,tpm-transports}.test.ts',
  'src/verifier/tpm/{enrolment,make-credential,recorded-quotes}.test.ts',
  'src/attester/tpm/tpm-attester.test.ts',
  'src/relying-party/token-bytes.test.ts',
  'src/workload-api/{connection-limits,fuzz}.test.ts',
]

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'native/**/*.test.ts', 'mocks/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(process.env['ATTESTD_TESTS'] === 'quick' ? slow : [])],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
})
