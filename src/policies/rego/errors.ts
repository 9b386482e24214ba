import { declareErrors } from '../../base/errors.ts'

export const regoErrors = declareErrors({
  REGO_SOURCE: {
    kind: 'configuration',
    title: 'the policy is Rego source, which nothing here compiles',
    remedy:
      'compile it: opa build -t wasm -e policy/trust_claims -e policy/extensions FILE.rego; then name bundle.tar.gz, and its new SHA-256',
  },
  REGO_BUNDLE_UNREADABLE: {
    kind: 'configuration',
    title: 'a Rego bundle is no bundle with one compiled policy',
    remedy:
      'build it anew: opa build -t wasm -e policy/trust_claims FILE.rego; docs/policy-rego.md says what a bundle may hold',
  },
  REGO_BUNDLE_HASH: {
    kind: 'configuration',
    title: 'a Rego bundle is not the one that the configuration pins',
    remedy: 'find out who changed the file; if you did, write its SHA-256 (sha256sum FILE) into the configuration',
  },
  REGO_ENTRYPOINT_MISSING: {
    kind: 'configuration',
    title: 'a Rego bundle lacks an entrypoint',
    remedy:
      'name it when you build the bundle: opa build -t wasm -e policy/trust_claims -e policy/extensions FILE.rego',
  },
  REGO_FUNCTION_ABSENT: {
    kind: 'configuration',
    title: 'a Rego bundle needs functions that no policy gets',
    remedy: 'write the policy without them and build it anew; docs/policy-rego.md lists the functions that are offered',
  },
  REGO_ENGINE_ABSENT: {
    kind: 'configuration',
    title: 'a policy is a Rego bundle, and no engine for such that works is installed',
    remedy:
      'install it beside attestd: npm install @open-policy-agent/opa-wasm@^1.10.0; or use a policy of the own language',
  },
})
