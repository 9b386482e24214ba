import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

/** What takes long: `npm test` runs it, `npm run check` (ATTESTD_TESTS=quick) leaves it out. */
const slow = [
  'test/{conformance,e2e,faults}/**',
  'native/ffi-process.test.ts',
  'mocks/**',
  'src/base/prehashed-signature.test.ts',
  'src/client/*.test.ts',
  'src/base/pki/{certificate,chain,revocation-list}.test.ts',
  'src/evidence/tdx/{cc-event-log,quote}.test.ts',
  'src/evidence/event-log/hostile-logs.test.ts',
  'src/evidence/tpm/evidence-json.test.ts',
  'src/attester/tpm/{tpm-attester,tpm-keys}.test.ts',
  'src/endorser/tdx/{collateral-source,never-back,served-collateral}.test.ts',
  'src/agent/commands/reference.test.ts',
  'src/agent/commands/policy-{check,explain,files,test}.test.ts',
  'src/agent/inspection/inspect.test.ts',
  'src/agent/wiring/registry-store.test.ts',
  'src/agent/embedded/{appraisal-policies,ima-continuation}.test.ts',
  'src/agent/process-end.test.ts',
  'src/agent/rego/{compiled-rego,open-rego-policy}.test.ts',
  'src/base/pki/self-issued-certificate.test.ts',
  'src/issuer/azure/*.test.ts',
  'src/issuer/key-ring.test.ts',
  'src/policies/rego/opa-module.test.ts',
  'src/policies/signed/accept-policy.test.ts',
  'src/passport/{model,refreshing}.test.ts',
  'src/passport/sinks/sink-keeper.test.ts',
  'src/passport/remote/{alibaba-source,attestation-client}.test.ts',
  'src/policies/language/{format-policy,grammar-oracle,hostile-texts}.test.ts',
  'src/platform/{ima-log-file,peer-credentials,system-clock,tcp-peers,token-file,tpm-transports,tsm-files,vsock}.test.ts',
  'src/registry/policies/{policy-durability,policy-stores}.test.ts',
  'src/policies/evaluation/{evaluate-policy,evaluation-limits,evaluation-properties,recorded-runs,hostile-evaluations}.test.ts',
  'src/policies/jmespath/{exact-json,query-limits}.test.ts',
  'src/registry/{durability,pglite-engine,postgres-engine,stores}.test.ts',
  'src/verifier/tdx/{appraise-quote,collateral-mutants-*,quote-memo,quote-mutants,recorded-quotes,replay-cc-event-log,tcb-oracle}.test.ts',
  'src/verifier/ima/ima-evmctl.test.ts',
  'src/verifier/policy-claims/verified-claims.test.ts',
  'src/verifier/ima/{checkpoint,judge-ima-log,known-templates}.test.ts',
  'src/verifier/tpm/{appraise-tpm,judge-ima,event-log-attacks,event-log-verdicts,enrolment,make-credential,recorded-quotes}.test.ts',
  'src/reference-values/reference-document.test.ts',
  'src/relying-party/token-bytes.test.ts',
  'src/workload-api/{any-members,connection-limits,hostile-requests,token-route,workload-server}.test.ts',
]

const all = ['src/**/*.test.ts', 'native/**/*.test.ts', 'mocks/**/*.test.ts', 'test/**/*.test.ts']
const excluded = [...configDefaults.exclude, ...(process.env['ATTESTD_TESTS'] === 'quick' ? slow : [])]

/** What measures time or looks at whole processes: one file after the other, so that none disturbs another. */
const alone = [
  'test/{bench,e2e,faults}/**/*.test.ts',
  'native/**/*.test.ts',
  'src/{platform,workload-api,passport}/**/*.test.ts',
  'src/agent/**/*.test.ts',
]

const shared = {
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // The usual second is too short for what is waited for on a busy machine.
  expect: { poll: { timeout: 20_000 } },
  pool: 'forks',
  setupFiles: 'test/support/careful-removal.ts',
} as const

export default defineConfig({
  test: {
    ...shared,
    projects: [
      {
        test: {
          ...shared,
          name: 'side by side',
          include: all,
          exclude: [...excluded, ...alone],
          maxWorkers: Math.max(1, Math.min(8, availableParallelism())),
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'one by one',
          include: alone,
          exclude: excluded,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
